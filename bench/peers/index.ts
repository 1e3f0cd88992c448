import type { DownloadPeer } from '../context.ts'
import { expressStatic } from './express-static.ts'
import { nginx } from './nginx.ts'
import { sealift } from './sealift.ts'

/** Who serves downloads, Sealift first. */
export const DOWNLOAD_PEERS: readonly DownloadPeer[] = [sealift, nginx, expressStatic]
