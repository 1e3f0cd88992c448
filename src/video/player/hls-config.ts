import type { HlsConfig } from 'hls.js'

import type { PlayerOptions } from './player.ts'

/** hls.js repeats nothing and gives up nothing: that is the loaders' part. */
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

/** How hls.js is to play, loaders apart. */
export function hlsConfig(options: PlayerOptions): Partial<HlsConfig> {
  const { workerUrl, limitToElement = true, aheadSeconds = 30, behindSeconds = 30 } = options
  return {
    enableWorker: workerUrl !== undefined,
    ...(workerUrl !== undefined && { workerPath: workerUrl }),
    // The first segment of what grows, too: a receiver watches from the start, behind the sender.
    startPosition: 0,
    maxBufferLength: aheadSeconds,
    maxMaxBufferLength: aheadSeconds,
    maxBufferSize: MAX_BUFFER_BYTES,
    backBufferLength: behindSeconds,
    capLevelToPlayerSize: limitToElement,
    abrEwmaDefaultEstimate: options.assumedBandwidth ?? 1_000_000,
    // Half-lives in seconds of download, not of film: small qualities load in moments, and with longer ones minutes would
    // pass before they are believed that the line has become better.
    abrEwmaFastVoD: FAST_SECONDS,
    abrEwmaFastLive: FAST_SECONDS,
    abrEwmaSlowVoD: SLOW_SECONDS,
    abrEwmaSlowLive: SLOW_SECONDS,
    // The first segment counts as the measurement: no other one is fetched for it.
    testBandwidth: false,
    // Makes hls.js ask for the next segment of what grows at once: see `memory-playlists.ts`.
    lowLatencyMode: true,
    // Pictures are shown as soon as their part of a segment has come.
    progressive: true,
    enableInterstitialPlayback: false,
    emeEnabled: false,
    manifestLoadPolicy: NO_RETRIES,
    playlistLoadPolicy: NO_RETRIES,
    fragLoadPolicy: NO_RETRIES,
  }
}
