/** The Sealift SDK for Node: everything of `sealift`, and files, resuming across processes, and speed. */
export * from '../index.ts'
export { createSealift, listFiles, NodeSealift } from './node-sealift.ts'
export type { FileItem, NodeSealiftOptions, Received, ReceivedItem, ReceiveOptions, SentFiles } from './node-sealift.ts'
