/** A page as anyone would write it, with hls.js as it comes from its package: a film, its errors, and what it shows. */
import type HlsClass from 'hls.js'

import { bitBoxes } from '../support/numbered-film.ts'

declare const Hls: typeof HlsClass

const video = document.createElement('video')
video.muted = true
video.playsInline = true
document.body.append(video)
const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
const errors: string[] = []
let hls: HlsClass | null = null

function opened(): HlsClass {
  if (!hls) throw new Error('Nothing is open')
  return hls
}

/** Resolves when the first picture can be shown. */
function open(url: string): Promise<void> {
  hls = new Hls()
  hls.on(Hls.Events.ERROR, (_, { type, details, error }) => {
    // hls.js also reports as an error that it has cancelled a request of its own for a more urgent one.
    if (details !== Hls.ErrorDetails.INTERNAL_ABORTED) errors.push(`${type} ${details}: ${error.message}`)
  })
  hls.loadSource(url)
  hls.attachMedia(video)
  return new Promise(resolve => video.addEventListener('canplay', () => resolve(), { once: true }))
}

/** The number that is written into the picture that is shown; -1 when none can be read. */
function shownNumber(): number {
  const { videoWidth: width, videoHeight: height } = video
  if (!canvas || width === 0) return -1
  Object.assign(canvas.canvas, { width, height })
  canvas.drawImage(video, 0, 0)
  return bitBoxes.reduce((number, { x, y }, bit) => {
    const [red = 0] = canvas.getImageData(Math.round(x * width), Math.round(y * height), 1, 1).data
    return number + (red > 128 ? 2 ** bit : 0)
  }, 0)
}

/** The pitch that is heard, in hertz. Needs a user's gesture, and a film that plays aloud. */
async function heardHertz(): Promise<number> {
  const audio = new AudioContext()
  await audio.resume()
  const analyser = audio.createAnalyser()
  analyser.fftSize = 8192
  const stream = (video as HTMLVideoElement & { captureStream(): MediaStream }).captureStream()
  audio.createMediaStreamSource(stream).connect(analyser)
  const loudness = new Float32Array(analyser.frequencyBinCount)
  await new Promise(resolve => setTimeout(resolve, 300))
  analyser.getFloatFrequencyData(loudness)
  await audio.close()
  return (loudness.indexOf(Math.max(...loudness)) * audio.sampleRate) / analyser.fftSize
}

const stock = {
  video,
  errors,
  open,
  shownNumber,
  heardHertz,
  get hls() {
    return opened()
  },
  facts() {
    const { currentTime, duration, ended, buffered } = video
    const start = buffered.length > 0 ? buffered.start(0) : null
    const heights = opened().levels.map(level => level.height)
    const sounds = opened().audioTracks.map(({ lang }) => lang ?? null)
    return { currentTime, duration, ended, start, height: video.videoHeight, heights, sounds, errors }
  },
}

export type StockPage = typeof stock

Object.assign(globalThis, { stock })
