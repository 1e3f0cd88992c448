/** `copy`: pictures and sound as they are; `ladder`: several qualities, by ffmpeg; `file`: no film, the bytes alone. */
export const FILM_MODES = ['copy', 'ladder', 'file'] as const
export type FilmMode = (typeof FILM_MODES)[number]
