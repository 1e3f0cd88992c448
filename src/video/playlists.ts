/**
 * A film's description as HLS (RFC 8216): one master playlist, and a media playlist for each track, whose segments are
 * byte ranges of one file. Pure text: the caller names the URLs.
 */
import type { FilmDescription, FilmSubtitles, FilmTrack } from '../client/manifest/film-readers.ts'
import { SealiftError } from '../protocol/errors.ts'

/** Byte ranges need 4, EXT-X-MAP for ordinary segments 6; 7 is what fragmented MP4 is usually announced with. */
const VERSION = 7
const AUDIO_GROUP = 'audio'
const SUBTITLES_GROUP = 'subtitles'

/** URLs of the media playlists, by index in the description; relative ones are relative to the master playlist. */
export interface PlaylistNames {
  rendition(index: number): string
  audio(index: number): string
  subtitles(index: number): string
}

export interface MediaPlaylistOptions {
  /** URL of the track's file. */
  readonly uri: string
  /** `sending`: more segments will follow; `complete`: these are all, so that the playlist ends. */
  readonly state: 'sending' | 'complete'
  /** It was served as `sending` before: only its end may change. */
  readonly hasGrown?: boolean
  /**
   * At least this EXT-X-TARGETDURATION in integer seconds: it must not change while a playlist grows, and should be the
   * same for all tracks of a film.
   */
  readonly targetSeconds?: number
}

/** The playlist of all renditions, best first, with audio and subtitles to choose from. */
export function masterPlaylist(film: FilmDescription, names: PlaylistNames): string {
  const { renditions, audio = [], subtitles = [] } = film
  const lines = [
    ...media({ type: 'AUDIO', group: AUDIO_GROUP }, audio, index => names.audio(index)),
    ...media({ type: 'SUBTITLES', group: SUBTITLES_GROUP }, subtitles, index => names.subtitles(index)),
    ...renditions.flatMap((track, index) => [
      `#EXT-X-STREAM-INF:${attributeList(streamOf(track, film))}`,
      plainText(names.rendition(index)),
    ]),
  ]
  return playlist(lines)
}

/**
 * The playlist of one track.
 * @throws damaged_media when its segments do not follow each other in the file
 */
export function mediaPlaylist(track: Pick<FilmTrack, 'init' | 'segments'>, options: MediaPlaylistOptions): string {
  checkLayout(track)
  const uri = plainText(options.uri)
  const complete = options.state === 'complete'
  const grows = !complete || options.hasGrown === true
  const [initOffset, initLength] = track.init
  return playlist([
    `#EXT-X-TARGETDURATION:${Math.max(targetSeconds(track), options.targetSeconds ?? 1)}`,
    '#EXT-X-MEDIA-SEQUENCE:0',
    `#EXT-X-PLAYLIST-TYPE:${grows ? 'EVENT' : 'VOD'}`,
    // Without it, players begin near the end of a growing playlist; here no segment is ever removed.
    ...(grows ? ['#EXT-X-START:TIME-OFFSET=0'] : []),
    `#EXT-X-MAP:${attributeList([
      ['URI', quoted(uri)],
      ['BYTERANGE', quoted(`${initLength}@${initOffset}`)],
    ])}`,
    ...track.segments.flatMap(([offset, length, seconds]) => [
      `#EXTINF:${decimal(seconds)},`,
      `#EXT-X-BYTERANGE:${length}@${offset}`,
      uri,
    ]),
    ...(complete ? ['#EXT-X-ENDLIST'] : []),
  ])
}

/** The playlist of subtitles: one WebVTT file for the film. `seconds` is the film's length. */
export function subtitlesPlaylist(options: { readonly uri: string; readonly seconds: number }): string {
  const seconds = Math.max(0.001, options.seconds)
  return playlist([
    `#EXT-X-TARGETDURATION:${Math.max(1, roundedSeconds(seconds))}`,
    '#EXT-X-MEDIA-SEQUENCE:0',
    '#EXT-X-PLAYLIST-TYPE:VOD',
    `#EXTINF:${decimal(seconds)},`,
    plainText(options.uri),
    '#EXT-X-ENDLIST',
  ])
}

/** The least EXT-X-TARGETDURATION that suits all tracks. */
export function filmTargetSeconds({ renditions, audio = [] }: FilmDescription): number {
  return Math.max(...[...renditions, ...audio].map(targetSeconds))
}

/** The least EXT-X-TARGETDURATION that a track can have: its longest segment, rounded to seconds. */
export function targetSeconds({ segments }: Pick<FilmTrack, 'segments'>): number {
  return segments.reduce((longest, [, , seconds]) => Math.max(longest, roundedSeconds(seconds)), 1)
}

/** Of all segments that are there. */
export function trackSeconds({ segments }: Pick<FilmTrack, 'segments'>): number {
  return segments.reduce((sum, [, , seconds]) => sum + seconds, 0)
}

/** Where the last segment ends in the track's file: bytes from its start. */
export function trackBytes({ init, segments }: Pick<FilmTrack, 'init' | 'segments'>): number {
  const [offset, length] = segments.at(-1) ?? init
  return offset + length
}

function playlist(lines: readonly string[]): string {
  return ['#EXTM3U', `#EXT-X-VERSION:${VERSION}`, '#EXT-X-INDEPENDENT-SEGMENTS', ...lines, ''].join('\n')
}

function streamOf(track: FilmTrack, { audio = [], subtitles = [] }: FilmDescription): Attribute[] {
  const { bandwidth, averageBandwidth, width, height, frameRate } = track
  const averages = [averageBandwidth, ...audio.map(each => each.averageBandwidth)]
  // The variant is the rendition together with the densest audio.
  const audioRate = Math.max(0, ...audio.map(each => each.bandwidth))
  const averageAudioRate = Math.max(0, ...audio.map(each => each.averageBandwidth ?? 0))
  const average = averages.includes(undefined) ? undefined : String((averageBandwidth ?? 0) + averageAudioRate)
  return [
    ['BANDWIDTH', String(bandwidth + audioRate)],
    ['AVERAGE-BANDWIDTH', average],
    ['CODECS', codecList([track.codecs, ...audio.map(each => each.codecs)])],
    ['RESOLUTION', width !== undefined && height !== undefined ? `${width}x${height}` : undefined],
    ['FRAME-RATE', frameRate !== undefined && frameRate >= 0.001 ? frameRate.toFixed(3) : undefined],
    ['AUDIO', audio.length > 0 ? quoted(AUDIO_GROUP) : undefined],
    ['SUBTITLES', subtitles.length > 0 ? quoted(SUBTITLES_GROUP) : undefined],
  ]
}

interface Group {
  readonly type: 'AUDIO' | 'SUBTITLES'
  readonly group: string
}

function media(
  { type, group }: Group,
  tracks: readonly (FilmTrack | FilmSubtitles)[],
  uriOf: (index: number) => string,
): string[] {
  const names = uniqueNames(tracks, type === 'AUDIO' ? 'Audio' : 'Subtitles')
  const chosen = tracks.findIndex(track => track.isDefault)
  // Without a default, the first audio plays, and no subtitles are shown.
  const first = chosen < 0 && type === 'AUDIO' ? 0 : chosen
  return tracks.map((track, index) => {
    const language = languageTag(track.language)
    const isForced = type === 'SUBTITLES' && 'isForced' in track && track.isForced === true
    const list = attributeList([
      ['TYPE', type],
      ['GROUP-ID', quoted(group)],
      ['NAME', quoted(names[index] ?? '')],
      ['LANGUAGE', language === undefined ? undefined : quoted(language)],
      ['DEFAULT', index === first ? 'YES' : 'NO'],
      ['AUTOSELECT', index === first || language !== undefined ? 'YES' : 'NO'],
      ['FORCED', isForced ? 'YES' : undefined],
      ['URI', quoted(uriOf(index))],
    ])
    return `#EXT-X-MEDIA:${list}`
  })
}

/** Names to choose by, different within a group (section 4.3.4.1.1). */
function uniqueNames(tracks: readonly (FilmTrack | FilmSubtitles)[], kind: string): string[] {
  const taken = new Set<string>()
  return tracks.map(({ name, language }, index) => {
    const wanted = plainText(name ?? '').replaceAll('"', "'") || languageTag(language) || `${kind} ${index + 1}`
    let unique = wanted
    for (let count = 2; taken.has(unique); count += 1) unique = `${wanted} (${count})`
    taken.add(unique)
    return unique
  })
}

function decimal(seconds: number): string {
  return seconds.toFixed(6)
}

/** Rounded as a reader rounds what is written. */
function roundedSeconds(seconds: number): number {
  return Math.round(Number(decimal(seconds)))
}

function checkLayout({ init, segments }: Pick<FilmTrack, 'init' | 'segments'>): void {
  let end = init[0] + init[1]
  for (const [offset, length] of segments) {
    if (offset < end || !Number.isSafeInteger(offset + length)) throw contradiction()
    end = offset + length
  }
  if (!Number.isSafeInteger(end)) throw contradiction()
}

function contradiction(): SealiftError {
  return new SealiftError(
    'damaged_media',
    "The film's description contradicts itself: its segments do not follow each other",
  )
}

/**
 * Of an attribute list (section 4.2). The sender of a manifest chose its values, so none is written as it is: a quoted
 * string cannot be left, and no other line can begin. `undefined`: the attribute is left out.
 */
type Attribute = readonly [name: string, value: string | undefined]

function attributeList(attributes: readonly Attribute[]): string {
  return attributes.flatMap(([name, value]) => (value === undefined ? [] : `${name}=${value}`)).join(',')
}

// RFC 8216, section 4.1, forbids control characters and the byte order mark; some readers end a line at a separator.
const FORBIDDEN = /[\p{Cc}\p{Zl}\p{Zp}\ufeff]/gu

/** A quoted string. It has no escapes, so a quotation mark becomes an apostrophe. */
function quoted(text: string): string {
  return `"${plainText(text).replaceAll('"', "'")}"`
}

/** Well-formed text in normalization form C, as section 4.1 requires, without characters that a playlist forbids. */
function plainText(text: string): string {
  return text.toWellFormed().normalize('NFC').replaceAll(FORBIDDEN, ' ').trim()
}

const LANGUAGE = /^[a-z]{1,8}(?:-[a-z\d]{1,8})*$/i

/** A language tag as RFC 5646 has it; `undefined` for anything else. */
function languageTag(language: string | undefined): string | undefined {
  return language !== undefined && LANGUAGE.test(language) ? language : undefined
}

/** Formats of several tracks, each once, in their order; malformed ones are left out. */
function codecList(codecs: readonly string[]): string | undefined {
  const known = codecs.flatMap(list => list.split(',')).map(codec => codec.trim())
  const unique = new Set(known.filter(codec => /^[\w.+-]{1,100}$/.test(codec)))
  return unique.size === 0 ? undefined : quoted(Array.from(unique).join(','))
}
