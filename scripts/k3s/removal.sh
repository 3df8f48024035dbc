# What K3s and CNIs leave on a machine, removed; shared by the jobs that do.
# shellcheck shell=sh
# shellcheck source=SCRIPTDIR/lib.sh
. ./lib.sh
# shellcheck source=SCRIPTDIR/leftovers.sh
. ./leftovers.sh

# remove_networks: links, rules, routes and programs of a CNI. The machine's own links and routes stay.
#   LAB_POD_CIDRS: IPv4 and IPv6 CIDRs, routes into which go, or nothing
remove_networks() {
  links_of_cnis | while read -r link; do ip link delete "$link" 2>/dev/null || true; done
  # Programs on the NIC outlive the agent, and would go on judging its packets. Theirs is a name that begins so (1.13.4 bpf/bpf_host.c,
  # bpf_xdp.c; bpf_ before 1.13).
  links | while read -r link; do
    for side in ingress egress; do
      tc filter show dev "$link" "$side" 2>/dev/null | sed -n 's/.*pref \([0-9]*\) bpf.* \(cil_\|bpf_\).*/\1/p' | sort -u |
        while read -r place; do tc filter delete dev "$link" "$side" pref "$place" 2>/dev/null || true; done
    done
    if ip -details link show dev "$link" 2>/dev/null | grep -Eq 'prog/xdp[a-z]* id [0-9]+ name (cil_|bpf_)'; then
      for mode in xdpdrv xdpgeneric; do ip link set dev "$link" "$mode" off 2>/dev/null || true; done
    fi
  done
  for family in -4 -6; do
    # Tables of Cilium's proxy (1.13.4 pkg/datapath/linux/linux_defaults/linux_defaults.go: 2004, 2005).
    ip "$family" rule 2>/dev/null | sed -n 's/^\([0-9]*\):.*lookup \(2004\|2005\).*/\1/p' | while read -r place; do
      ip "$family" rule delete pref "$place" 2>/dev/null || true
    done
    for table in 2004 2005; do ip "$family" route flush table "$table" 2>/dev/null || true; done
  done
  for cidr in ${LAB_POD_CIDRS:-}; do
    case $cidr in *:*) family=-6 ;; *) family=-4 ;; esac
    ip "$family" route show root "$cidr" 2>/dev/null | awk '{print $1}' | while read -r destination; do
      ip "$family" route delete "$destination" 2>/dev/null || true
    done
  done
  for tables in iptables ip6tables; do
    if command -v "$tables-save" >/dev/null && "$tables-save" 2>/dev/null | grep -Eq "$chains"; then
      "$tables-save" | grep -Ev "$chains" | "$tables-restore"
    fi
  done
  rm -rf "$root/sys/fs/bpf/tc/globals" "$root/sys/fs/bpf/cilium" 2>/dev/null || true
}

# stop_kubernetes: services first, so that nothing is started again, then containers, then what they mounted
stop_kubernetes() {
  for name in $services; do
    systemctl disable --quiet --now "$name" 2>/dev/null || true
  done
  for group in "$root"/sys/fs/cgroup/kubepods "$root"/sys/fs/cgroup/kubepods.slice; do
    if [ -w "$group/cgroup.kill" ]; then echo 1 >"$group/cgroup.kill" || true; fi
  done
  for process in "$root"/proc/[0-9]*; do
    case $(readlink "$process/exe" 2>/dev/null) in
      /var/lib/rancher/*/containerd-shim*) kill -KILL "${process##*/}" 2>/dev/null || true ;;
    esac
  done
  # The innermost first.
  awk '{print $2}' "$root/proc/self/mounts" 2>/dev/null | grep -E '^(/run/k3s|/var/lib/rancher/|/var/lib/kubelet/|/run/netns/cni-)' |
    sort -r | while read -r mounted; do umount -l "$mounted" 2>/dev/null || true; done
}

remove_files() {
  for name in k3s k3s-agent; do rm -rf "$units/$name.service" "$units/$name.service.env" "$units/$name.service.previous" "$units/$name.service.d"; done
  for file in /etc/rancher /etc/kubernetes /etc/cni/net.d /var/lib/cni /var/lib/kubelet /var/lib/rancher/k3s /var/lib/rancher/rke2 /run/k3s \
    /run/cilium /run/flannel /usr/local/lib/k3s; do
    rm -rf "${root:-}$file"
  done
  for name in kubectl crictl ctr; do
    if [ "$(readlink "${binary%/*}/$name")" = k3s ]; then rm -f "${binary%/*}/$name"; fi
  done
  rm -f "$binary" "${binary%/*}"/k3s-killall.sh "${binary%/*}"/k3s-uninstall.sh "${binary%/*}"/k3s-agent-uninstall.sh
  systemctl daemon-reload 2>/dev/null || true
}
