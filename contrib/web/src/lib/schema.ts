// A small language for the shapes of messages. One value says how a shape is read, and how it is written back so that
// the bytes are those of every other client: members in a fixed order, no white space, integers of any size.

import { Fraction, readJSON, type Int } from './json'

export type { Int } from './json'

/** What a strict reader refuses. The text is for logs: it holds no content of the message. */
export class ShapeError extends Error {}

const bad = (what: string): never => {
  throw new ShapeError(what)
}

/** Reads JSON without losing a digit. Throws ShapeError. */
export function parseJSON(text: string): unknown {
  try {
    return readJSON(text)
  } catch {
    return bad('not JSON')
  }
}

export interface Options {
  /** Words and members of newer versions pass instead of failing the whole message. */
  lenient: boolean
}

export interface Shape<T> {
  read(v: unknown, o: Options): T
  write(v: T): string
}

/** The value type of a shape. */
export type Of<S> = S extends Shape<infer T> ? T : never

export function int(min: bigint, max: bigint): Shape<Int> {
  return {
    read: (v) => {
      if (typeof v !== 'number' && typeof v !== 'bigint') return bad('no integer')
      const n = BigInt(v)
      return n < min || n > max ? bad('integer out of range') : v
    },
    write: (v) => v.toString(),
  }
}

const small = (max: number): Shape<number> => int(0n, BigInt(max)) as Shape<number>
export const u8 = small(255)
export const u32 = small(2 ** 32 - 1)
export const u64 = int(0n, 2n ** 64n - 1n)
export const i64 = int(-(2n ** 63n), 2n ** 63n - 1n)

export const float: Shape<number> = {
  read: (v) => {
    const n = v instanceof Fraction ? Number(v.text) : typeof v === 'number' || typeof v === 'bigint' ? Number(v) : NaN
    return Number.isFinite(n) ? n : bad('no number')
  },
  write: writeFloat,
}

/** Shortest digits that come back the same, always with a fraction or an exponent, as serde_json writes them. */
export function writeFloat(f: number): string {
  if (!Number.isFinite(f)) return 'null'
  const abs = Math.abs(f)
  if (Object.is(f, -0)) return '-0.0'
  if (abs === 0 || (abs >= 1e-5 && abs < 1e16)) {
    const s = String(f)
    return s.includes('.') ? s : s + '.0'
  }
  return f.toExponential().replace('e+', 'e')
}

export const text: Shape<string> = {
  read: (v) => (typeof v === 'string' && v.isWellFormed() ? v : bad('no text')),
  write: writeText,
}

const escapes: Record<string, string> = { '"': '\\"', '\\': '\\\\', '\b': '\\b', '\t': '\\t', '\n': '\\n', '\f': '\\f', '\r': '\\r' }

/** Escapes the quote, the backslash and the control characters below U+0020, and nothing else. */
export function writeText(s: string): string {
  return '"' + s.toWellFormed().replace(/["\\\u0000-\u001f]/g, (c) => escapes[c] ?? '\\u00' + c.charCodeAt(0).toString(16).padStart(2, '0')) + '"'
}

export const bool: Shape<boolean> = {
  read: (v) => (typeof v === 'boolean' ? v : bad('no boolean')),
  write: String,
}

/** One of some words. A lenient reader takes any word. */
export function word<T extends string>(...words: T[]): Shape<T> {
  const known = new Set<string>(words)
  return {
    read: (v, o) => (typeof v === 'string' && (o.lenient || known.has(v)) ? (v as T) : bad('unknown word')),
    write: writeText,
  }
}

const hyphens = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** A UUID in any of its usual forms; kept in lower case with hyphens. Undefined if it is none. */
export function parseUUID(s: string): string | undefined {
  let t = s.toLowerCase()
  if (t.startsWith('urn:uuid:')) t = t.slice(9)
  else if (t.startsWith('{') && t.endsWith('}')) t = t.slice(1, -1)
  else if (/^[0-9a-f]{32}$/.test(t)) t = t.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
  return hyphens.test(t) ? t : undefined
}

export const uuid: Shape<string> = {
  read: (v) => (typeof v === 'string' ? parseUUID(v) : undefined) ?? bad('no UUID'),
  write: writeText,
}

export function nullable<T>(s: Shape<T>): Shape<T | null> {
  return {
    read: (v, o) => (v === null || v === undefined ? null : s.read(v, o)),
    write: (v) => (v === null ? 'null' : s.write(v)),
  }
}

export function list<T>(s: Shape<T>): Shape<T[]> {
  return {
    read: (v, o) => (Array.isArray(v) ? v.map((e) => s.read(e, o)) : bad('no list')),
    write: (v) => '[' + v.map((e) => s.write(e)).join(',') + ']',
  }
}

type Tuple = readonly Shape<any>[]

export function tuple<const S extends Tuple>(...shapes: S): Shape<{ -readonly [K in keyof S]: Of<S[K]> }> {
  return {
    read: (v, o) => {
      if (!Array.isArray(v) || v.length !== shapes.length) return bad('a tuple of another length')
      return shapes.map((s, i) => s.read(v[i], o)) as never
    },
    write: (v) => '[' + shapes.map((s, i) => s.write((v as unknown[])[i])).join(',') + ']',
  }
}

/** A member that is left out when it is null or not there. */
export interface Omitted<T> extends Shape<T | undefined> {
  omitted: true
}

export function omitted<T>(s: Shape<T>): Omitted<T> {
  return {
    omitted: true,
    read: (v, o) => (v === null || v === undefined ? undefined : s.read(v, o)),
    write: (v) => s.write(v as T),
  }
}

type Members = Record<string, Shape<any>>
type Plain<T> = { [K in keyof T]: T[K] } & {}
type OmittedKeys<M> = { [K in keyof M]: M[K] extends Omitted<any> ? K : never }[keyof M]
export type Struct<M extends Members> = Plain<
  { [K in Exclude<keyof M, OmittedKeys<M>>]: Of<M[K]> } & { [K in OmittedKeys<M>]?: Of<M[K]> | undefined }
>

/** An object with its members in order. A closed one refuses others. */
export function struct<const M extends Members>(members: M, closed = false): Shape<Struct<M>> {
  return {
    read: (v, o) => {
      const from = asObject(v)
      const out: Record<string, unknown> = {}
      for (const [name, s] of Object.entries(members)) {
        const value = s.read(from.get(name), o)
        if (value !== undefined) out[name] = value
      }
      if (closed && !o.lenient) for (const name of from.keys()) if (!Object.hasOwn(members, name)) bad('unknown member')
      return out as Struct<M>
    },
    write: (v) => {
      const parts: string[] = []
      for (const [name, s] of Object.entries(members)) {
        const value = (v as Record<string, unknown>)[name]
        if (!('omitted' in s) || (value !== undefined && value !== null)) parts.push(writeText(name) + ':' + s.write(value ?? null))
      }
      return '{' + parts.join(',') + '}'
    },
  }
}

/** The members of an object as readJSON makes it. */
export const asObject = (v: unknown): Map<string, unknown> => (v instanceof Map ? (v as Map<string, unknown>) : bad('no object'))

/** An object with exactly one member, whose name says which shape its value has. */
export function oneOf<const M extends Members>(members: M): Shape<{ [K in keyof M]: { [P in K]: Of<M[K]> } }[keyof M]> {
  return {
    read: (v, o) => {
      const from = [...asObject(v)]
      const [only] = from
      if (!only || from.length !== 1) return bad('want one member')
      const s = Object.hasOwn(members, only[0]) ? members[only[0]] : undefined
      return (s ? { [only[0]]: s.read(only[1], o) } : bad('unknown member')) as never
    },
    write: (v) => {
      const [name, value] = Object.entries(v as object)[0] as [string, unknown]
      return '{' + writeText(name) + ':' + members[name]!.write(value) + '}'
    },
  }
}
