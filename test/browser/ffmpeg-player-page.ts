/** What the page of the player's tests runs: the SDK and the player, as an app would bundle them. */
import { Sealift } from '../../src/client/index.ts'
import { attach } from '../../src/video/player/index.ts'
import type { Player, PlayerOptions } from '../../src/video/player/index.ts'

export interface PlayerFacts {
  readonly state: string
  readonly error: string | null
  readonly message: string | null
  readonly sending: boolean
  readonly seconds: number
  readonly duration: number
  readonly paused: boolean
  readonly ended: boolean
  readonly height: number
  readonly heights: readonly (number | null)[]
  readonly playing: number | null
  readonly buffered: readonly (readonly [number, number])[]
  readonly states: readonly string[]
  readonly errors: readonly string[]
  readonly readyState: number
}

export interface PlayerPage {
  open(link: string, options?: PlayerOptions): Promise<void>
  facts(): PlayerFacts
}

const element = document.createElement('video')
element.muted = true
element.width = 640
element.height = 360
document.body.append(element)

const states: string[] = []
const errors: string[] = []
let player: Player | null = null

const api = {
  element,
  async open(link: string, options: PlayerOptions = {}) {
    const sealift = new Sealift({ retry: { capMs: 500 } })
    const parcel = await sealift.open(link)
    const [item] = parcel.items
    if (!item) throw new Error('The parcel is empty')
    player = attach(element, parcel, item, options)
    player.on('state', state => states.push(state))
    player.on('error', error => errors.push(error.code))
    Object.assign(globalThis, { player })
    element.autoplay = true
  },
  facts(): PlayerFacts {
    if (!player) throw new Error('Nothing is attached')
    return {
      state: player.state,
      error: player.error?.code ?? null,
      message: player.error?.message ?? null,
      sending: player.sending,
      seconds: element.currentTime,
      duration: element.duration,
      paused: element.paused,
      ended: element.ended,
      height: element.videoHeight,
      heights: player.qualities.map(({ height }) => height),
      playing: player.playingQuality,
      buffered: Array.from({ length: element.buffered.length }, (_, at) => [
        element.buffered.start(at),
        element.buffered.end(at),
      ]),
      states,
      errors,
      readyState: element.readyState,
    }
  },
}

Object.assign(globalThis, { playing: api })
