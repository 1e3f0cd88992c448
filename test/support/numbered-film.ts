/** A film each of whose pictures says which one it is: bits as white boxes on black, legible in every size. */

const BITS = 12
const COLUMNS = 3
export const FRAMES_PER_SECOND = 25

/** Middle of each bit's box, lowest bit first, as shares of width and height. */
export const bitBoxes = Array.from({ length: BITS }, (_, bit) => ({
  x: ((bit % COLUMNS) + 0.5) / COLUMNS,
  y: (Math.floor(bit / COLUMNS) + 0.5) / (BITS / COLUMNS),
}))

/** ffmpeg's source of such pictures. At most 4096 of them. */
export function numberedPictures(size: `${number}x${number}`, seconds: number): string {
  const boxes = bitBoxes.map(({ x, y }, bit) => {
    const place = `x=iw*${x.toFixed(4)}-iw/8:y=ih*${y.toFixed(4)}-ih/8:w=iw/4:h=ih/4`
    return `drawbox=${place}:color=white:t=fill:enable='mod(floor(n/${2 ** bit}),2)'`
  })
  return [`color=black:size=${size}:rate=${FRAMES_PER_SECOND}:duration=${seconds}`, ...boxes].join(',')
}
