/** What a rule is held to: its smallest bad config, the nearest good one, and each finding word for word. */
export interface Case {
  readonly id: string;
  readonly severity: "error" | "warning";
  readonly bad: unknown;
  readonly good: unknown;
  readonly finds: readonly { readonly key: string; readonly message: string; readonly wayOut: string }[];
}

type Config = Readonly<Record<string, unknown>>;

export function vxlan(rest: Config = {}): Config {
  return { datapath: { mode: "vxlan", ...rest } };
}

export function native(rest: Config = {}): Config {
  return { datapath: { mode: "native", ...rest } };
}

export const strict = { kubeProxyReplacement: "strict" };
export const bpf = { masquerade: { implementation: "bpf" } };
export const bpfIPv4Only = { masquerade: { implementation: "bpf", ipv6: false } };
export const bpfRouting = { ...strict, ...bpf, hostRouting: "bpf" };
