/**
 * A checker for HLS playlists, written from RFC 8216 and knowing nothing of the code that makes them. What breaks a
 * MUST is an error; it knows the tags that this product may write, and refuses any other.
 */
export interface CheckedSegment {
  readonly uri: string
  readonly seconds: number
  /** `null`: the whole resource. */
  readonly range: { readonly start: number; readonly end: number } | null
}

export interface CheckedMedia {
  readonly targetSeconds: number
  readonly type: string | undefined
  readonly ended: boolean
  readonly map: { readonly uri: string; readonly range: { readonly start: number; readonly end: number } } | null
  readonly segments: readonly CheckedSegment[]
}

export interface CheckedMaster {
  readonly streams: readonly { readonly uri: string; readonly attributes: ReadonlyMap<string, string> }[]
  readonly media: readonly ReadonlyMap<string, string>[]
}

const quotedString = /^"[^"\r\n]*"$/
const decimalInteger = /^\d{1,20}$/
const decimalFloat = /^\d+(?:\.\d+)?$/
const enumerated = /^[^\s",]+$/

/** Section 4.2: names in capitals, each once; a quoted string holds no quotation mark and no line end. */
export function parseAttributes(list: string): Map<string, string> {
  const found = new Map<string, string>()
  const pattern = /([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s]+)(,|$)/y
  let end = 0
  for (let match = pattern.exec(list); match; match = pattern.exec(list)) {
    const [, name = '', value = ''] = match
    must(!found.has(name), `attribute ${name} stands twice`)
    found.set(name, value)
    end = pattern.lastIndex
    if (match[3] === '') break
    must(end < list.length, 'an attribute list ends with a comma')
  }
  must(end === list.length && list.length > 0, `not an attribute list: ${list}`)
  return found
}

export function checkMaster(text: string): CheckedMaster {
  const lines = linesOf(text)
  const streams: { uri: string; attributes: Map<string, string> }[] = []
  const media: Map<string, string>[] = []
  let stream: Map<string, string> | null = null
  const once = new Set<string>()
  for (const line of lines) {
    const [tag, value] = split(line)
    if (stream) {
      must(tag === '', 'EXT-X-STREAM-INF is followed by its URI')
      streams.push({ uri: line, attributes: stream })
      stream = null
    } else if (tag === '#EXT-X-STREAM-INF') stream = checkStream(parseAttributes(value))
    else if (tag === '#EXT-X-MEDIA') media.push(checkRendition(parseAttributes(value)))
    else {
      must(['#EXT-X-VERSION', '#EXT-X-INDEPENDENT-SEGMENTS'].includes(tag), `${line} in a master playlist`)
      must(!once.has(tag), `${tag} stands twice`)
      once.add(tag)
      if (tag === '#EXT-X-VERSION') must(decimalInteger.test(value), 'the version is an integer')
    }
  }
  must(stream === null, 'EXT-X-STREAM-INF without a URI')
  must(streams.length > 0, 'a master playlist names no stream')
  checkGroups(streams, media)
  return { streams, media }
}

/** @param fileBytes length of the file that the ranges lie in, when it is known */
export function checkMedia(text: string, fileBytes?: number): CheckedMedia {
  const state = new MediaState()
  for (const line of linesOf(text)) state.take(line)
  return state.finish(fileBytes)
}

/** What grew may only have been added to, and its target duration stays (section 6.2.1). */
export function checkGrowth(before: CheckedMedia, after: CheckedMedia): void {
  must(!before.ended, 'a playlist that has ended changes')
  must(before.type === after.type, 'EXT-X-PLAYLIST-TYPE changes')
  must(before.targetSeconds === after.targetSeconds, 'EXT-X-TARGETDURATION changes')
  must(before.segments.length <= after.segments.length, 'segments were taken away')
  const same = JSON.stringify(before.segments) === JSON.stringify(after.segments.slice(0, before.segments.length))
  must(same, 'segments were changed')
}

class MediaState {
  readonly #values = new Map<string, string>()
  readonly #segments: CheckedSegment[] = []
  #map: CheckedMedia['map'] = null
  #seconds: number | null = null
  #range: CheckedSegment['range'] = null

  take(line: string): void {
    const [tag, value] = split(line)
    if (tag === '') return this.#segment(line)
    must(!this.#values.has('#EXT-X-ENDLIST'), `${line} after EXT-X-ENDLIST`)
    if (tag === '#EXTINF') {
      const [seconds = '', ...title] = value.split(',')
      must(title.length > 0 && decimalFloat.test(seconds), `EXTINF is a duration and a comma: ${value}`)
      must(this.#seconds === null, 'two EXTINF for one segment')
      this.#seconds = Number(seconds)
    } else if (tag === '#EXT-X-BYTERANGE') this.#range = rangeOf(value)
    else if (tag === '#EXT-X-MAP') this.#takeMap(parseAttributes(value))
    else this.#once(tag, value)
  }

  finish(fileBytes: number | undefined): CheckedMedia {
    const target = this.#values.get('#EXT-X-TARGETDURATION')
    must(target !== undefined && decimalInteger.test(target), 'EXT-X-TARGETDURATION is needed')
    must(this.#seconds === null && this.#range === null, 'a segment has tags and no URI')
    const targetSeconds = Number(target)
    const tooLong = this.#segments.find(({ seconds }) => Math.round(seconds) > targetSeconds)
    must(!tooLong, `a segment of ${tooLong?.seconds} s is longer than the target of ${targetSeconds} s`)
    this.#checkVersion()
    this.#checkRanges(fileBytes)
    const type = this.#values.get('#EXT-X-PLAYLIST-TYPE')
    must(type === undefined || type === 'VOD' || type === 'EVENT', `EXT-X-PLAYLIST-TYPE:${type}`)
    const ended = this.#values.has('#EXT-X-ENDLIST')
    must(type !== 'VOD' || ended, 'a VOD playlist cannot grow, so it ends')
    return { targetSeconds, type, ended, map: this.#map, segments: this.#segments }
  }

  #segment(uri: string): void {
    must(this.#seconds !== null, `${uri} has no EXTINF`)
    must(!this.#values.has('#EXT-X-ENDLIST'), 'a segment after EXT-X-ENDLIST')
    this.#segments.push({ uri, seconds: this.#seconds ?? 0, range: this.#range })
    this.#seconds = null
    this.#range = null
  }

  #takeMap(attributes: ReadonlyMap<string, string>): void {
    must(this.#map === null && this.#segments.length === 0, 'one EXT-X-MAP before all segments')
    const range = unquote(attributes, 'BYTERANGE')
    this.#map = { uri: unquote(attributes, 'URI'), range: rangeOf(range) }
  }

  #once(tag: string, value: string): void {
    const known = ['VERSION', 'INDEPENDENT-SEGMENTS', 'TARGETDURATION', 'MEDIA-SEQUENCE', 'PLAYLIST-TYPE', 'START']
    must([...known, 'ENDLIST'].includes(tag.slice('#EXT-X-'.length)), `${tag} in a media playlist`)
    must(!this.#values.has(tag), `${tag} stands twice`)
    if (tag === '#EXT-X-MEDIA-SEQUENCE') {
      must(decimalInteger.test(value), 'a media item sequence number is an integer')
      must(this.#segments.length === 0, 'EXT-X-MEDIA-SEQUENCE stands before all segments')
    }
    if (tag === '#EXT-X-START')
      must(/^-?[\d.]+$/.test(parseAttributes(value).get('TIME-OFFSET') ?? ''), 'TIME-OFFSET is needed')
    this.#values.set(tag, value)
  }

  /** Section 7. */
  #checkVersion(): void {
    const text = this.#values.get('#EXT-X-VERSION') ?? '1'
    must(decimalInteger.test(text), 'the version is an integer')
    const needed = this.#map ? 6 : this.#segments.some(({ range }) => range) ? 4 : 3
    must(Number(text) >= needed, `version ${text} is too low; ${needed} is needed`)
  }

  #checkRanges(fileBytes = Number.MAX_SAFE_INTEGER): void {
    const ranges = [this.#map?.range, ...this.#segments.map(({ range }) => range)].filter(range => range != null)
    for (const [index, { start, end }] of ranges.entries()) {
      must(Number.isSafeInteger(end) && start < end, `an empty or endless byte range: ${start}-${end}`)
      must(end <= fileBytes, `a byte range beyond the file: ${end} of ${fileBytes}`)
      must(start >= (ranges[index - 1]?.end ?? 0), `byte ranges overlap at ${start}`)
    }
  }
}

function checkStream(attributes: Map<string, string>): Map<string, string> {
  const bandwidth = Number(attributes.get('BANDWIDTH'))
  must(decimalInteger.test(attributes.get('BANDWIDTH') ?? ''), 'BANDWIDTH is needed')
  const rules: Readonly<Record<string, RegExp>> = {
    BANDWIDTH: decimalInteger,
    'AVERAGE-BANDWIDTH': decimalInteger,
    CODECS: quotedString,
    RESOLUTION: /^\d+x\d+$/,
    'FRAME-RATE': /^\d+(?:\.\d{1,3})?$/,
    AUDIO: quotedString,
    SUBTITLES: quotedString,
  }
  checkAttributes(attributes, rules)
  const average = Number(attributes.get('AVERAGE-BANDWIDTH') ?? bandwidth)
  must(average <= bandwidth, 'AVERAGE-BANDWIDTH is above BANDWIDTH')
  return attributes
}

function checkRendition(attributes: Map<string, string>): Map<string, string> {
  checkAttributes(attributes, {
    TYPE: /^(?:AUDIO|SUBTITLES)$/,
    'GROUP-ID': quotedString,
    NAME: quotedString,
    LANGUAGE: /^"[A-Za-z]{1,8}(?:-[A-Za-z\d]{1,8})*"$/,
    DEFAULT: /^(?:YES|NO)$/,
    AUTOSELECT: /^(?:YES|NO)$/,
    FORCED: /^(?:YES|NO)$/,
    URI: quotedString,
  })
  for (const name of ['TYPE', 'GROUP-ID', 'NAME']) must(attributes.has(name), `EXT-X-MEDIA without ${name}`)
  const type = attributes.get('TYPE')
  must(attributes.get('NAME') !== '""', 'a NAME is empty')
  must(type !== 'SUBTITLES' || attributes.has('URI'), 'subtitles without URI')
  must(type === 'SUBTITLES' || !attributes.has('FORCED'), 'FORCED is for subtitles')
  const isDefault = attributes.get('DEFAULT') === 'YES'
  must(!isDefault || attributes.get('AUTOSELECT') !== 'NO', 'a default that is not to be selected')
  return attributes
}

function checkAttributes(attributes: ReadonlyMap<string, string>, rules: Readonly<Record<string, RegExp>>): void {
  for (const [name, value] of attributes) {
    const rule = rules[name]
    must(rule?.test(value) === true, `attribute ${name}=${value}`)
    must(quotedString.test(value) || enumerated.test(value), `attribute ${name}=${value}`)
  }
}

function checkGroups(streams: CheckedMaster['streams'], media: CheckedMaster['media']): void {
  const names = new Set<string>()
  const defaults = new Set<string>()
  for (const each of media) {
    const group = `${each.get('TYPE')} ${each.get('GROUP-ID')}`
    const name = `${group} ${each.get('NAME')}`
    must(!names.has(name), `two renditions of one group are named ${each.get('NAME')}`)
    names.add(name)
    if (each.get('DEFAULT') !== 'YES') continue
    must(!defaults.has(group), `two defaults in ${group}`)
    defaults.add(group)
  }
  for (const { attributes } of streams) {
    for (const type of ['AUDIO', 'SUBTITLES']) {
      const group = attributes.get(type)
      const exists = media.some(each => each.get('TYPE') === type && each.get('GROUP-ID') === group)
      must(group === undefined || exists, `there is no group ${type} ${group}`)
    }
  }
}

/** Section 4.1: UTF-8 in form C, no byte order mark, no control characters, the first line is EXTM3U. */
function linesOf(text: string): string[] {
  must(text.isWellFormed() && text === text.normalize('NFC'), 'text in form C')
  must(!/[\ufeff]|(?![\r\n])\p{Cc}/u.test(text), 'a control character or a byte order mark')
  const [first, ...lines] = text.split(/\r?\n/)
  must(first === '#EXTM3U', 'EXTM3U is the first line')
  must(
    lines.every(line => line === line.trim()),
    'white space around a line',
  )
  return lines.filter(line => line !== '' && (!line.startsWith('#') || line.startsWith('#EXT')))
}

/** The tag and what follows its colon; for a URI the tag is empty. */
function split(line: string): [tag: string, value: string] {
  if (!line.startsWith('#')) return ['', line]
  const colon = line.indexOf(':')
  return colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1)]
}

/** Here the offset is always wanted, though the RFC lets it be left out. */
function rangeOf(value: string): { start: number; end: number } {
  const match = /^(\d+)@(\d+)$/.exec(value)
  must(match !== null, `a byte range with an offset: ${value}`)
  const start = Number(match?.[2])
  return { start, end: start + Number(match?.[1]) }
}

function unquote(attributes: ReadonlyMap<string, string>, name: string): string {
  const value = attributes.get(name) ?? ''
  must(quotedString.test(value), `${name} is a quoted string: ${value}`)
  return value.slice(1, -1)
}

function must(holds: boolean, rule: string): asserts holds {
  if (!holds) throw new Error(`RFC 8216: ${rule}`)
}
