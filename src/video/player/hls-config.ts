import type { HlsConfig } from 'hls.js'

import type { PlayerOptions } from './player.ts'

/** hls.js retries nothing and has no timeout: the loaders do that. */
const NO_RETRIES = {
  default: {
    maxTimeToFirstByteMs: Number.POSITIVE_INFINITY,
    maxLoadTimeMs: Number.POSITIVE_INFINITY,
    timeoutRetry: null,
    errorRetry: null,
  },
}

const FAST_SECONDS = 0.5
const SLOW_SECONDS = 2
const MAX_BUFFER_BYTES = 60_000_000

/** Options of hls.js, without its loaders. */
export function hlsConfig(options: PlayerOptions): Partial<HlsConfig> {
  const { workerUrl, limitToElement = true, aheadSeconds = 30, behindSeconds = 30 } = options
  return {
    enableWorker: workerUrl !== undefined,
    ...(workerUrl !== undefined && { workerPath: workerUrl }),
    // Also of a film that grows: a receiver watches from the start.
    startPosition: 0,
    maxBufferLength: aheadSeconds,
    maxMaxBufferLength: aheadSeconds,
    maxBufferSize: MAX_BUFFER_BYTES,
    backBufferLength: behindSeconds,
    capLevelToPlayerSize: limitToElement,
    abrEwmaDefaultEstimate: options.assumedBandwidth ?? 1_000_000,
    // Half-lives in seconds of download, not of film: small qualities load fast, so that with longer half-lives a
    // better bandwidth would be noticed only after minutes.
    abrEwmaFastVoD: FAST_SECONDS,
    abrEwmaFastLive: FAST_SECONDS,
    abrEwmaSlowVoD: SLOW_SECONDS,
    abrEwmaSlowLive: SLOW_SECONDS,
    // The first segment is the measurement: no other segment is fetched for it.
    testBandwidth: false,
    // With blocking playlists, hls.js requests the next segment of a growing film at once: see `playlist-loader.ts`.
    lowLatencyMode: true,
    // Frames are shown as soon as their part of a segment has come.
    progressive: true,
    enableInterstitialPlayback: false,
    emeEnabled: false,
    manifestLoadPolicy: NO_RETRIES,
    playlistLoadPolicy: NO_RETRIES,
    fragLoadPolicy: NO_RETRIES,
  }
}
