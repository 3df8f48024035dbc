export { NetworkedStack, type UpResult } from "./harness/engine.ts";
export { imageTools, testCloudImage } from "./harness/image.ts";
export { libvirtTools, startLibvirt, type PrivateLibvirt } from "./harness/libvirtd.ts";
