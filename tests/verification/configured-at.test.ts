import assert from "node:assert/strict";
import { dataWrittenAt } from "../../verification/configured-at.ts";

describe("When a ConfigMap's data was written", () => {
  const creationTimestamp = new Date("2024-01-01T00:00:00Z");
  const time = new Date("2024-01-02T00:00:00Z");

  it("is its creation or the last write of data, whatever was written beside it", () => {
    assert.equal(dataWrittenAt(undefined), undefined);
    assert.equal(dataWrittenAt({ creationTimestamp }), creationTimestamp.getTime());
    const marked = { time, fieldsV1: { "f:metadata": { "f:labels": {} } } };
    assert.equal(dataWrittenAt({ creationTimestamp, managedFields: [marked] }), creationTimestamp.getTime());
    const written = { time, fieldsV1: { "f:data": {} } };
    assert.equal(dataWrittenAt({ creationTimestamp, managedFields: [marked, written] }), time.getTime());
  });
});
