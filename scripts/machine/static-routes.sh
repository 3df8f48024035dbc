# Shared by the jobs that set routes on a machine and take them away; components/remote-job.ts sends it with them.
# shellcheck shell=sh
# shellcheck disable=SC2034 # what is set here is read by the jobs
set -eu
: "${LAB_NODE:?}"
folder=${LAB_ROOT:-}/var/lib/datapath-lab
batch=$folder/routes
unit=${LAB_ROOT:-}/etc/systemd/system/datapath-lab-routes.service

# Takes away the routes that lines of the batch on standard input set; those that are gone already don't matter.
take_away() { sed 's/^route replace/route delete/' | ip -force -batch - 2>/dev/null || true; }
