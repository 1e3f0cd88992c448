import type { Player } from './player.ts'

/** The elements of a preview. The caller positions both. */
export interface HoverPreviewOptions {
  /** Stands for the film from left to right. */
  readonly bar: HTMLElement
  /** Gets the size of an image, shows it as its background, and is hidden while there is none. */
  readonly preview: HTMLElement
}

/**
 * Shows the storyboard's image of the moment under the pointer.
 * @returns a function that ends it
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
