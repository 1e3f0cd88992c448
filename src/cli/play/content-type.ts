const HARMLESS = /^(?:(?:audio|video|image)\/[a-z\d][a-z\d.+-]{0,100}|text\/plain|application\/pdf)$/
/** Playlists under the names of sound and moving pictures. */
const LISTS = /mpegurl|scpls|x-ms-(?:asx|wax|wvx|wmx)|pn-realaudio|smil|dash|playlist/
const ANY = 'application/octet-stream'

/**
 * What a plain file may be served as. Its sender chose the type, so nothing that a browser would run, or could run by
 * another name, keeps it.
 */
export function servedType(type: string): string {
  const [essence = ''] = type.toLowerCase().split(';')
  const named = essence.trim()
  if (!HARMLESS.test(named) || LISTS.test(named) || /\bsvg\b|xml/.test(named)) return ANY
  return named === 'text/plain' ? 'text/plain; charset=utf-8' : named
}
