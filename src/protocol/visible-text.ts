/**
 * What of a text is safe to look at. Control characters move a terminal's cursor, set its title or fill the clipboard;
 * direction marks show `fdp.exe` for `exe.pdf`; interlinear marks hide what stands between them.
 */
const CONTROLS = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufff9-\ufffb]/gu
/** Format characters too, which are invisible; but joiners, which belong to scripts and to emoji. */
const UNSEEN = /(?!\u200c|\u200d|\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** One line that can do nothing to the terminal it is printed on: every harmful character becomes `�`. */
export function printable(text: string): string {
  return text.replaceAll(CONTROLS, '�')
}

/**
 * JSON, or lines of it, with the same meaning and without a character that a terminal may obey or that is invisible:
 * these stand as `\u…`, as lone surrogates do anyway.
 */
export function escapeUnseen(json: string): string {
  return json.replaceAll(UNSEEN, character =>
    character
      .split('')
      .map(unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  )
}
