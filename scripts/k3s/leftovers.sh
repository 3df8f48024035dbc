# What K3s and CNIs leave on a machine, found: by the jobs that remove it, and by the preflight, which sends this in front of
# scripts/machine/facts.
#   LAB_ROOT: folder in the place of /, for tests
# shellcheck shell=sh
# shellcheck disable=SC2034 # what is set here is read by those who send it
# Cilium's links to pods are lxc and 12 hexadecimal digits, beside lxc_health (1.13.4 pkg/datapath/connector/veth.go,
# Endpoint2IfName); LXC's own bridge is lxcbr0, and stays.
cni_links='^(cilium_|lxc_health$|lxc[0-9a-f]{12}$|flannel|cni0$|kube-ipvs0$|kube-bridge$|cali|weave|vxlan\.calico$)'
chains='KUBE-|CNI-|CILIUM_|FLANNEL|flannel|cali[-:]|WEAVE'
services='k3s k3s-agent kubelet rke2-server rke2-agent'

links() { ip -o link 2>/dev/null | awk -F': ' '{sub(/@.*/, "", $2); print $2}'; }

links_of_cnis() { links | grep -E "$cni_links" || true; }

# leftovers: one a line, as a person would look for it
leftovers() {
  for name in $services; do
    if systemctl is-enabled --quiet "$name" 2>/dev/null || systemctl is-active --quiet "$name" 2>/dev/null; then
      echo "service $name"
    fi
  done
  for file in /etc/rancher /etc/kubernetes /var/lib/rancher/k3s /var/lib/rancher/rke2 /var/lib/kubelet /etc/cni/net.d /var/lib/cni; do
    if [ -n "$(ls -A "${LAB_ROOT:-}$file" 2>/dev/null)" ]; then echo "$file"; fi
  done
  # One that is not ours: the lab's leads to a release of its own (lib.sh).
  if [ -e "${LAB_ROOT:-}/usr/local/bin/k3s" ]; then
    case $(readlink "${LAB_ROOT:-}/usr/local/bin/k3s") in ../lib/k3s/*/k3s) ;; *) echo /usr/local/bin/k3s ;; esac
  fi
  links_of_cnis | sed 's/^/link /'
  if command -v iptables-save >/dev/null; then
    iptables-save 2>/dev/null | sed -n 's/^:\([^ ]*\) .*/\1/p' | grep -E "^($chains)" | sed 's/[-_].*//' | sort -u |
      sed 's/^/iptables chains of /' || true
  fi
}
