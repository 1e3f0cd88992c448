/** Configuration as written, before it is checked: nested maps. */
export type RawMap = { readonly [key: string]: unknown }

export type Path = readonly (string | number)[]

/** One source of settings: a file, the environment, the command line. */
export interface Layer {
  readonly values: RawMap
  /** Where the value at `path` (or its nearest parent) was set; `null`: not in this layer. */
  originOf(path: Path): string | null
}

export function isMap(value: unknown): value is RawMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `access.tokens[0].subject` */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`
    return text === '' ? key : `${text}.${key}`
  }, '')
}

export function getIn(values: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, key) => {
    if (Array.isArray(value)) return value[Number(key)] as unknown
    return isMap(value) && Object.hasOwn(value, key) ? value[key] : undefined
  }, values)
}

/** A copy with `value` at `path`; missing maps are created. */
export function setIn(values: RawMap, path: readonly string[], value: unknown): RawMap {
  const [key, ...rest] = path
  if (key === undefined) return isMap(value) ? value : values
  const inner = Object.hasOwn(values, key) && isMap(values[key]) ? values[key] : {}
  return { ...values, [key]: rest.length === 0 ? value : setIn(inner, rest, value) }
}

/** A copy without the value at `path`; removing an entry of a list removes the list. */
export function withoutPath(values: RawMap, path: Path): RawMap {
  const [key, ...rest] = path
  if (key === undefined || !Object.hasOwn(values, key)) return values
  const { [key]: inner, ...others } = values
  return rest.length > 0 && isMap(inner) ? { ...others, [key]: withoutPath(inner, rest) } : others
}

/** Maps are merged key by key, anything else in `over` wins. */
export function mergeRaw(under: RawMap, over: RawMap): RawMap {
  const merged: Record<string, unknown> = { ...under }
  for (const [key, value] of Object.entries(over)) {
    const below = Object.hasOwn(merged, key) ? merged[key] : undefined
    merged[key] = isMap(below) && isMap(value) ? mergeRaw(below, value) : value
  }
  return merged
}
