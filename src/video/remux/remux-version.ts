/** The mediabunny whose muxer decides the bytes of a film. A test compares it with the one that is installed. */
const MEDIABUNNY_VERSION = '1.61.0'

/**
 * Names the bytes that copying makes of a film: another version makes other bytes. Counts every change of the layout.
 */
export const REMUX_WAY = `remux-3-${MEDIABUNNY_VERSION}`
