/** What some errors of the demuxer mean to a person. Its words are its own affair: what is not known here has a vague reason. */
const MEANINGS: readonly (readonly [words: RegExp, meaning: string])[] = [
  [
    /could not extract (AVC|HEVC|HVC)DecoderConfigurationRecord/,
    'Its video begins without the parameter sets that a decoder needs: it was cut out of a longer one, or its beginning is missing',
  ],
  [
    /"moof" box encountered with no "moov" box/,
    'It is a segment of a film: the part that says what is in it is a file of its own',
  ],
]
const UNKNOWN = 'It is damaged, or of a kind that cannot be packaged'

export function meaningOf(error: unknown): string {
  const words = error instanceof Error ? error.message : ''
  return MEANINGS.find(([known]) => known.test(words))?.[1] ?? UNKNOWN
}
