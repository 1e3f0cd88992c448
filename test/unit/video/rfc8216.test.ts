import { expect, test } from 'vitest'

import { checkGrowth, checkMaster, checkMedia, parseAttributes } from '../../support/rfc8216.ts'

const GOOD = `#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:4
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-MAP:URI="r.mp4",BYTERANGE="10@0"
#EXTINF:4.0,
#EXT-X-BYTERANGE:10@10
r.mp4
#EXTINF:3.0,
#EXT-X-BYTERANGE:10@20
r.mp4
#EXT-X-ENDLIST
`

test.each([
  ['#EXTM3U\n', ''],
  ['VERSION:7', 'VERSION:4'],
  ['#EXT-X-TARGETDURATION:4\n', ''],
  ['TARGETDURATION:4', 'TARGETDURATION:3'],
  ['#EXTINF:4.0,', '#EXTINF:4.0'],
  ['#EXTINF:4.0,\n', ''],
  ['URI="r.mp4",', 'URI="r.mp4", '],
  ['10@20', '10@19'],
  ['10@20', '10@21'],
  ['10@20', '10'],
  ['#EXT-X-ENDLIST\n', ''],
  ['#EXT-X-VERSION:7', '#EXT-X-VERSION:7\n#EXT-X-VERSION:7'],
  ['#EXT-X-VERSION:7', '#EXT-X-VERSION:7\n#EXT-X-SOMETHING'],
  ['r.mp4\n#EXT-X-ENDLIST', '#EXT-X-ENDLIST'],
])('the checker finds the mistake of %j as %j', (from, to) => {
  expect(GOOD).toContain(from)
  expect(checkMedia(GOOD, 30).segments).toHaveLength(2)
  expect(() => checkMedia(GOOD.replace(from, to), 30)).toThrow('RFC 8216')
})

test.each(['', 'A=1,', 'A=1,A=2', 'a=1', 'A="1', 'A="1"2', 'A=', 'A=1 ,B=2', 'A="x\ny"'])(
  '%j is no attribute list',
  list => {
    expect(() => parseAttributes(list)).toThrow('RFC 8216')
  },
)

test.each([
  '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n',
  '#EXTM3U\n#EXT-X-STREAM-INF:CODECS="x"\nr.m3u8\n',
  '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\nr.m3u8\n',
  '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=x\nr.m3u8\n',
  '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nr.m3u8\n',
])('%j is no master playlist', text => {
  expect(() => checkMaster(text)).toThrow('RFC 8216')
})

test('what grew was only added to', () => {
  const open = checkMedia(GOOD.replace('VOD', 'EVENT').replace('#EXT-X-ENDLIST\n', ''))
  const fewer = { ...open, segments: open.segments.slice(1) }
  expect(() => checkGrowth(open, checkMedia(GOOD))).not.toThrow()
  expect(() => checkGrowth(open, fewer)).toThrow('taken away')
  expect(() => checkGrowth(fewer, open)).toThrow('changed')
  expect(() => checkGrowth(open, { ...open, targetSeconds: 5 })).toThrow('TARGETDURATION')
  expect(() => checkGrowth(checkMedia(GOOD), open)).toThrow('ended')
})
