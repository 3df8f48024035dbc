import { native, vxlan, type Case } from "./case.ts";

const byMode = "Leave it out, and say it with datapath.mode.";

export const valueCases: readonly Case[] = [
  {
    id: "values-unknown-path",
    severity: "error",
    bad: native({ values: { routingMode: "native" } }),
    good: native({ values: { debug: { enabled: true } } }),
    finds: [
      {
        key: "datapath.values.routingMode",
        message: "The 1.13.4 chart has no value routingMode: Helm would ignore it silently.",
        wayOut: "It came with 1.14. Before that it is tunnel, which datapath.mode says: native for tunnel: disabled.",
      },
    ],
  },
  {
    id: "values-wrong-type",
    severity: "error",
    bad: vxlan({ values: { debug: { enabled: "yes" } } }),
    good: vxlan({ values: { debug: { enabled: true } } }),
    finds: [
      {
        key: "datapath.values.debug.enabled",
        message: "debug.enabled takes true or false, and this is text.",
        wayOut: "Write true or false.",
      },
    ],
  },
  {
    id: "values-contradiction",
    severity: "error",
    bad: native({ values: { tunnel: "vxlan" } }),
    good: vxlan({ values: { tunnel: "vxlan" } }),
    finds: [
      {
        key: "datapath.values.tunnel",
        message: 'tunnel is decided by datapath.mode, which makes it "disabled"; here it says "vxlan".',
        wayOut: byMode,
      },
    ],
  },
  {
    id: "values-roll-out",
    severity: "error",
    bad: vxlan({ values: { updateStrategy: { type: "OnDelete" } } }),
    good: vxlan({ values: { debug: { enabled: true } } }),
    finds: [
      {
        key: "datapath.values.updateStrategy",
        message: "updateStrategy is decided by cilium.rollOut.",
        wayOut: "Leave it out, and say it with cilium.rollOut.",
      },
    ],
  },
  {
    id: "values-twice",
    severity: "error",
    bad: vxlan({ values: { debug: { enabled: true }, "debug.enabled": false } }),
    good: vxlan({ values: { "debug.enabled": false } }),
    finds: [
      {
        key: "datapath.values.debug.enabled",
        message: "debug.enabled stands there twice: only one can count.",
        wayOut: "Leave one of them out.",
      },
    ],
  },
  {
    id: "values-extra-config",
    severity: "error",
    bad: vxlan({ values: { extraConfig: { tunnel: "geneve", "routing-mode": "native" } } }),
    good: vxlan({ values: { extraConfig: { "log-opt": "x" } } }),
    finds: [
      {
        key: "datapath.values.extraConfig.tunnel",
        message: "The agent's option tunnel is decided by datapath.mode: cilium-config would hold it twice.",
        wayOut: byMode,
      },
      {
        key: "datapath.values.extraConfig.routing-mode",
        message: "The 1.13.4 agent has no option routing-mode and ignores it silently.",
        wayOut: byMode,
      },
    ],
  },
];
