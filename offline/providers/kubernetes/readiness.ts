import * as z from "zod/mini";

const condition = z.object({
  type: z.string(),
  status: z.string(),
  reason: z.optional(z.string()),
  message: z.optional(z.string()),
});
const count = z._default(z.number(), 0);
const conditions = z.optional(z.array(condition));
const metadata = z.object({ generation: z.optional(z.number()) });
const observedGeneration = z.optional(z.number());

const deployment = z.object({
  metadata,
  spec: z.object({ replicas: z._default(z.number(), 1) }),
  status: z.optional(
    z.object({ observedGeneration, updatedReplicas: count, availableReplicas: count, replicas: count, conditions }),
  ),
});
const daemonSet = z.object({
  metadata,
  spec: z.object({ updateStrategy: z.optional(z.object({ type: z.optional(z.string()) })) }),
  status: z.optional(
    z.object({
      observedGeneration,
      desiredNumberScheduled: count,
      updatedNumberScheduled: count,
      numberAvailable: count,
    }),
  ),
});
const statefulSet = z.object({
  metadata,
  spec: z.object({ replicas: z._default(z.number(), 1) }),
  status: z.optional(z.object({ observedGeneration, updatedReplicas: count, readyReplicas: count })),
});
const job = z.object({ status: z.optional(z.object({ conditions })) });
const containerState = z.object({
  name: z.string(),
  state: z.optional(
    z.object({ waiting: z.optional(z.object({ reason: z.optional(z.string()), message: z.optional(z.string()) })) }),
  ),
});
const pod = z.object({
  status: z.optional(
    z.object({ phase: z.optional(z.string()), conditions, containerStatuses: z.optional(z.array(containerState)) }),
  ),
});
const definition = z.object({ status: z.optional(z.object({ conditions })) });

/** `waiting` says what is still missing; `failed` that it can't come any more. */
export type Readiness = { ready: true } | { ready: false; waiting: string; failed?: boolean };

const isReady: Readiness = { ready: true };

/** Whether an object does what its kind is for. Kinds that are what they are at once are always ready. */
export function readinessOf(apiVersion: string, kind: string, live: unknown): Readiness {
  const group = apiVersion.includes("/") ? apiVersion.split("/")[0] : "";
  switch (`${group ?? ""}/${kind}`) {
    case "apps/Deployment": {
      const { metadata: own, spec, status } = deployment.parse(live);
      const progress = find(status?.conditions, "Progressing");
      if (progress?.reason === "ProgressDeadlineExceeded") return failed(progress.message ?? progress.reason);
      if (!observed(own, status)) return waiting("the controller has not seen the change yet");
      if (status.updatedReplicas < spec.replicas) return missing("updated", status.updatedReplicas, spec.replicas);
      if (status.replicas > status.updatedReplicas) return waiting("pods of the old revision are still there");
      return status.availableReplicas < spec.replicas
        ? missing("available", status.availableReplicas, spec.replicas)
        : isReady;
    }
    case "apps/DaemonSet": {
      const { metadata: own, spec, status } = daemonSet.parse(live);
      if (!observed(own, status)) return waiting("the controller has not seen the change yet");
      const { desiredNumberScheduled: desired, updatedNumberScheduled: updated, numberAvailable: available } = status;
      if (spec.updateStrategy?.type !== "OnDelete" && updated < desired) return missing("updated", updated, desired);
      return available < desired ? missing("available", available, desired) : isReady;
    }
    case "apps/StatefulSet": {
      const { metadata: own, spec, status } = statefulSet.parse(live);
      if (!observed(own, status)) return waiting("the controller has not seen the change yet");
      if (status.updatedReplicas < spec.replicas) return missing("updated", status.updatedReplicas, spec.replicas);
      return status.readyReplicas < spec.replicas ? missing("ready", status.readyReplicas, spec.replicas) : isReady;
    }
    case "batch/Job": {
      const { status } = job.parse(live);
      const end = find(status?.conditions, "Failed");
      if (end?.status === "True") return failed(end.message ?? end.reason ?? "the job failed");
      return find(status?.conditions, "Complete")?.status === "True" ? isReady : waiting("the job has not completed");
    }
    case "/Pod": {
      const { status } = pod.parse(live);
      if (status?.phase === "Succeeded" || find(status?.conditions, "Ready")?.status === "True") return isReady;
      if (status?.phase === "Failed") return failed("the pod failed");
      const held = status?.containerStatuses?.find(({ state }) => state?.waiting !== undefined);
      const why = held?.state?.waiting;
      return waiting(
        why
          ? `container ${held.name}: ${[why.reason, why.message].filter(Boolean).join(": ")}`
          : (find(status?.conditions, "PodScheduled")?.message ?? "the pod is not ready"),
      );
    }
    case "apiextensions.k8s.io/CustomResourceDefinition": {
      const { status } = definition.parse(live);
      return find(status?.conditions, "Established")?.status === "True" ? isReady : waiting("it is not established");
    }
    default:
      return isReady;
  }
}

function find(
  list: z.infer<typeof conditions>,
  type: string,
): { status: string; reason?: string | undefined; message?: string | undefined } | undefined {
  return list?.find((candidate) => candidate.type === type);
}

function observed<Status extends { observedGeneration?: number | undefined }>(
  own: z.infer<typeof metadata>,
  status: Status | undefined,
): status is Status {
  return (status?.observedGeneration ?? -1) >= (own.generation ?? 0);
}

function waiting(what: string): Readiness {
  return { ready: false, waiting: what };
}

function failed(what: string): Readiness {
  return { ready: false, waiting: what, failed: true };
}

function missing(what: string, have: number, want: number): Readiness {
  return waiting(`${have} of ${want} pods are ${what}`);
}
