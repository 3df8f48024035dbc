import { stringify } from "yaml";
import { addressAt } from "../cidr.ts";
import type { LibvirtMachines } from "../config/libvirt.ts";
import type { LibvirtLab, LibvirtMachine } from "./lab.ts";

/** An SSH key pair in OpenSSH's formats. */
export interface KeyPair {
  readonly privateKey: string;
  /** One line: type, base64 and perhaps a comment. */
  readonly publicKey: string;
}

export interface SeedKeys {
  /** Who may log in: the public half. */
  readonly authorizedKey: string;
  /** What the machine identifies itself with; connections are pinned to its public half. */
  readonly hostKey: KeyPair;
}

/**
 * Kernel modules that K3s's own unit loads before it starts (k3s-io/k3s install.sh, v1.26.6): overlay for containerd's images,
 * br_netfilter so that bridged packets meet kube-proxy's rules where a bridge is the CNI.
 */
const kernelModules = ["overlay", "br_netfilter"];

/**
 * - ip_forward: nodes route between pods and their NIC.
 * - bridge-nf-call: as kubeadm and K3s set it for kube-proxy.
 * - rp_filter: systemd sets 2 on new links from 50-default.conf, and 1 or 2 drops pods' packets on Cilium's own links
 *   (Cilium 1.13 system requirements, cilium/cilium#10645).
 * - inotify: kubelet and containerd watch more files than the default of 128 instances allows.
 */
const sysctls: Readonly<Record<string, number>> = {
  "net.ipv4.ip_forward": 1,
  "net.bridge.bridge-nf-call-iptables": 1,
  "net.ipv4.conf.all.rp_filter": 0,
  "net.ipv4.conf.default.rp_filter": 0,
  "net.ipv4.conf.lxc*.rp_filter": 0,
  "net.ipv4.conf.cilium_*.rp_filter": 0,
  "fs.inotify.max_user_instances": 1024,
  "fs.inotify.max_user_watches": 1_048_576,
};

/**
 * networkd takes every route and rule that is not its own away when it starts again, as an update of systemd has it do: Cilium's, and
 * those of the lab (systemd's networkd.conf; cilium/cilium#18706).
 */
const networkdSettings = ["[Network]", "ManageForeignRoutes=no", "ManageForeignRoutingPolicyRules=no"];

/** What would load packages, and change programs, while something is measured. */
const aptTimers = ["apt-daily.timer", "apt-daily-upgrade.timer"];

/** A router whose packets leave by the NIC that they came by tells their senders of a shorter way, past what is measured. */
const routerSysctls: Readonly<Record<string, number>> = { "net.ipv4.conf.*.send_redirects": 0 };

function yaml(value: unknown): string {
  return stringify(value, { lineWidth: 0 });
}

/**
 * cloud-init's user-data: who may log in, what is installed, what K3s and Cilium need of the kernel.
 * @param forwards whether the machine routes between others, and is no node
 */
export function userData(
  machines: LibvirtMachines,
  machine: LibvirtMachine,
  keys: SeedKeys,
  { forwards = false } = {},
): string {
  const { packages, aptMirror } = machines;
  const settings = { ...sysctls, ...(forwards ? routerSysctls : {}) };
  const archive = [{ arches: ["default"], uri: aptMirror }];
  const config = {
    hostname: machine.name,
    manage_etc_hosts: "localhost",
    users: [
      {
        name: machines.user,
        shell: "/bin/bash",
        sudo: "ALL=(ALL) NOPASSWD:ALL",
        lock_passwd: true,
        ssh_authorized_keys: [keys.authorizedKey],
      },
    ],
    ssh_pwauth: false,
    ssh_deletekeys: true,
    ssh_keys: { ed25519_private: keys.hostKey.privateKey, ed25519_public: keys.hostKey.publicKey },
    ...(aptMirror === null ? {} : { apt: { preserve_sources_list: false, primary: archive, security: archive } }),
    ...(packages.length === 0 ? {} : { package_update: true, packages }),
    write_files: [
      { path: "/etc/systemd/networkd.conf.d/90-datapath-lab.conf", content: lines(networkdSettings) },
      { path: "/etc/modules-load.d/datapath-lab.conf", content: lines(kernelModules) },
      {
        // After systemd's own 50-default.conf, which sets rp_filter.
        path: "/etc/sysctl.d/90-datapath-lab.conf",
        content: lines(Object.entries(settings).map(([key, value]) => `${key} = ${value}`)),
      },
    ],
    runcmd: [
      // It runs before cloud-init writes files, and reads its settings as it starts; there is no route yet that it could take away.
      ["systemctl", "try-restart", "systemd-networkd.service"],
      ["systemctl", "restart", "systemd-modules-load.service"],
      ["systemctl", "restart", "systemd-sysctl.service"],
      // K3s starts beside swap (v1.26.6 pkg/daemons/agent/agent_linux.go: fail-swap-on), and a node that swaps is no measure of its
      // network. The target is what would turn it on at the next boot.
      ["swapoff", "--all"],
      ["systemctl", "stop", ...aptTimers],
      ["systemctl", "mask", "--no-reload", "swap.target", ...aptTimers],
    ],
    final_message: "datapath-lab: cloud-init ended after $UPTIME seconds",
  };
  return `#cloud-config\n${yaml(config)}`;
}

/** cloud-init's meta-data. A new instance makes cloud-init run anew, which is what a rebuilt machine is. */
export function metaData(machine: LibvirtMachine, instance: string): string {
  return yaml({ "instance-id": instance, "local-hostname": machine.name });
}

/** cloud-init's network-config, version 2: one NIC, found by its MAC address, named eth0 on every image. */
export function networkConfig(lab: LibvirtLab, machines: LibvirtMachines, machine: LibvirtMachine): string {
  const { gateway, prefixLength } = lab.network;
  return yaml({
    version: 2,
    ethernets: {
      eth0: {
        match: { macaddress: machine.macAddress },
        "set-name": "eth0",
        dhcp4: false,
        dhcp6: false,
        // Nobody advertises routes here: networkd would wait twelve seconds for it before it calls the machine online.
        "accept-ra": false,
        // networkd would take the address away as it starts again, and the kernel all routes with it, for a moment.
        critical: true,
        addresses: [`${machine.address}/${prefixLength}`],
        mtu: machines.mtuBytes,
        routes: [{ to: "0.0.0.0/0", via: gateway }],
        nameservers: { addresses: machines.nameservers ?? [addressAt(machines.network, 1)] },
      },
    },
  });
}

function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text}\n`).join("");
}
