// A JSON reader that loses nothing: integers of any size, "5.0" told from "5", a member given twice refused.
// JSON.parse does none of the three, and signatures are made over the bytes.

/** Integers beyond 2^53 stay exact as bigint. */
export type Int = number | bigint

/** A number with a fraction or an exponent, as it was written. */
export class Fraction {
  constructor(readonly text: string) {}
}

export type Value = null | boolean | Int | Fraction | string | Value[] | Map<string, Value>

const maxDepth = 100
const space = /[ \t\n\r]*/y
const number = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
const string = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y

/** Throws SyntaxError. */
export function readJSON(text: string): Value {
  let at = 0
  const fail = (): never => {
    throw new SyntaxError('not JSON')
  }
  const match = (re: RegExp): RegExpExecArray | null => {
    re.lastIndex = at
    const m = re.exec(text)
    if (m) at += m[0].length
    return m
  }
  const eat = (token: string): boolean => {
    if (!text.startsWith(token, at)) return false
    at += token.length
    return true
  }
  const readString = (): string => {
    const m = match(string) ?? fail()
    return JSON.parse(m[0]) as string
  }
  const readNumber = (): Int | Fraction => {
    const m = match(number) ?? fail()
    if (m[1] !== undefined || m[2] !== undefined || m[0] === '-0') return new Fraction(m[0])
    const n = Number(m[0])
    return Number.isSafeInteger(n) ? n : BigInt(m[0])
  }
  const readValue = (depth: number): Value => {
    if (depth > maxDepth) return fail()
    match(space)
    const c = text[at]
    let v: Value
    if (c === '{') v = readObject(depth)
    else if (c === '[') v = readList(depth)
    else if (c === '"') v = readString()
    else if (eat('null')) v = null
    else if (eat('true')) v = true
    else if (eat('false')) v = false
    else v = readNumber()
    match(space)
    return v
  }
  const readList = (depth: number): Value[] => {
    at++
    const out: Value[] = []
    match(space)
    if (eat(']')) return out
    do out.push(readValue(depth + 1))
    while (eat(','))
    return eat(']') ? out : fail()
  }
  const readObject = (depth: number): Map<string, Value> => {
    at++
    const out = new Map<string, Value>()
    match(space)
    if (eat('}')) return out
    do {
      match(space)
      const name = readString()
      match(space)
      if (!eat(':') || out.has(name)) return fail()
      out.set(name, readValue(depth + 1))
    } while (eat(','))
    return eat('}') ? out : fail()
  }
  const v = readValue(0)
  return at === text.length ? v : fail()
}
