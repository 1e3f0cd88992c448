/** The mediabunny that the bytes of a film are due to. A test compares it with the one that is installed. */
export const MEDIABUNNY_VERSION = '1.61.0'

/** Names the bytes that a film is made into: see `way` of `MadeBytes`. Counts up with every change of the layout. */
export const REMUX_WAY = `remux-3-${MEDIABUNNY_VERSION}`
