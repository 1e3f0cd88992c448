/** What the page of the player's tests runs: the SDK and the player, as an app would bundle them. */
import { Sealift } from '../../src/client/index.ts'
import { attach, hoverPreview } from '../../src/video/player/index.ts'
import type { Player, PlayerOptions, Quality, StoryboardTile, TrackChoice } from '../../src/video/player/index.ts'

/** How it goes, as plain data. */
export interface PlayerFacts {
  readonly state: string
  /** Codes of all errors so far, and the fatal one's message. */
  readonly errors: readonly string[]
  readonly message: string | null
  readonly note: string | null
  readonly states: readonly string[]
  readonly sending: boolean
  readonly seconds: number
  readonly duration: number
  readonly paused: boolean
  readonly ended: boolean
  readonly readyState: number
  readonly buffered: readonly (readonly [number, number])[]
  readonly qualities: readonly Quality[]
  readonly quality: number | 'auto'
  readonly playing: number | null
  readonly audioTracks: readonly TrackChoice[]
  readonly subtitles: readonly TrackChoice[]
  /** Height of the pictures that are shown. */
  readonly height: number
  /** The latest moment of which a frame was drawn. */
  readonly lastDrawn: number
  /** Object URLs that have not been revoked. */
  readonly objectUrls: number
  readonly tile: StoryboardTile | null
}

const urls = new Set<string>()
const create = URL.createObjectURL.bind(URL)
const revoke = URL.revokeObjectURL.bind(URL)
URL.createObjectURL = object => {
  const url = create(object)
  urls.add(url)
  return url
}
URL.revokeObjectURL = url => {
  urls.delete(url)
  revoke(url)
}

const element = document.createElement('video')
element.muted = true
element.autoplay = true
element.width = 640
element.height = 360
document.body.append(element)

const bar = document.createElement('div')
bar.id = 'bar'
Object.assign(bar.style, { width: '400px', height: '20px' })
const preview = document.createElement('div')
preview.id = 'preview'
document.body.append(bar, preview)

const states: string[] = []
const errors: string[] = []
let player: Player | null = null
let lastDrawn = 0

function watchFrames(): void {
  element.requestVideoFrameCallback((_, { mediaTime }) => {
    lastDrawn = Math.max(lastDrawn, mediaTime)
    watchFrames()
  })
}

function attached(): Player {
  if (!player) throw new Error('Nothing is attached')
  return player
}

/** The pitch that is heard, in hertz; 0 for silence. Needs a user's gesture. */
async function heardHertz(): Promise<number> {
  const audio = new AudioContext()
  await audio.resume()
  const analyser = audio.createAnalyser()
  analyser.fftSize = 8192
  const stream = (element as HTMLVideoElement & { captureStream(): MediaStream }).captureStream()
  audio.createMediaStreamSource(stream).connect(analyser)
  const levels = new Float32Array(analyser.frequencyBinCount)
  await new Promise(resolve => setTimeout(resolve, 300))
  analyser.getFloatFrequencyData(levels)
  const loudest = levels.indexOf(Math.max(...levels))
  await audio.close()
  return (loudest * audio.sampleRate) / analyser.fftSize
}

const playing = {
  element,
  heardHertz,
  get player() {
    return attached()
  },
  async open(link: string, options: PlayerOptions) {
    const sealift = new Sealift({ retry: { capMs: 500 } })
    const parcel = await sealift.open(link)
    const [item] = parcel.items
    if (!item) throw new Error('The parcel is empty')
    player = attach(element, parcel, item, options)
    player.on('state', state => states.push(state))
    player.on('error', error => errors.push(error.code))
    hoverPreview(player, { bar, preview })
    watchFrames()
  },
  facts(): PlayerFacts {
    const player = attached()
    const { currentTime, duration, paused, ended, readyState, videoHeight, buffered } = element
    const ranges = Array.from({ length: buffered.length }, (_, at) => [buffered.start(at), buffered.end(at)] as const)
    return {
      state: player.state,
      errors,
      message: player.error?.message ?? null,
      note: player?.note ?? null,
      states,
      sending: player.sending,
      seconds: currentTime,
      duration,
      paused,
      ended,
      readyState,
      buffered: ranges,
      qualities: player.qualities,
      quality: player.quality,
      playing: player.playingQuality,
      audioTracks: player.audioTracks,
      subtitles: player.subtitles,
      height: videoHeight,
      lastDrawn,
      objectUrls: urls.size,
      tile: player.storyboardAt(0),
    }
  },
}

Object.assign(globalThis, { playing })
