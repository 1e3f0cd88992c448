import type { Player } from './player.ts'

/** Where a preview shows, and over what. Both elements are the caller's, who places them. */
export interface HoverPreviewOptions {
  /** The bar that stands for the whole film, from left to right. */
  readonly bar: HTMLElement
  /** Becomes as large as a picture, shows it as its background, and is hidden while there is none. */
  readonly preview: HTMLElement
}

/**
 * Shows the storyboard's picture of the moment under the pointer.
 * @returns what ends it
 */
export function hoverPreview(player: Player, { bar, preview }: HoverPreviewOptions): () => void {
  let seconds: number | null = null
  const show = (): void => {
    const tile = seconds === null ? null : player.storyboardAt(seconds)
    preview.hidden = tile === null
    if (!tile) return
    Object.assign(preview.style, {
      width: `${tile.width}px`,
      height: `${tile.height}px`,
      backgroundImage: `url("${tile.sheet}")`,
      backgroundPosition: `-${tile.x}px -${tile.y}px`,
    })
  }
  const onMove = ({ clientX }: PointerEvent): void => {
    const { left, width } = bar.getBoundingClientRect()
    const { duration } = player.element
    const part = Math.min(1, Math.max(0, (clientX - left) / width))
    seconds = Number.isFinite(duration) && width > 0 ? part * duration : null
    show()
  }
  const onLeave = (): void => {
    seconds = null
    show()
  }
  bar.addEventListener('pointermove', onMove)
  bar.addEventListener('pointerleave', onLeave)
  const off = player.on('storyboard', show)
  onLeave()
  return () => {
    off()
    bar.removeEventListener('pointermove', onMove)
    bar.removeEventListener('pointerleave', onLeave)
    onLeave()
  }
}
