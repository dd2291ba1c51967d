// As much JSON as a kernel's border needs: objects whose values are texts,
// numbers and booleans; deeper values stay JSON.

/** What a value is. */
export enum Kind {
  Text,
  Number,
  Flag,
  Other, // null, an array, an object
}

/** A value of an object: a text without its quotes, or the JSON as it stands. */
export class Value {
  constructor(public kind: Kind, public text: string) {}
}

const QUOTE: i32 = 0x22;
const BACKSLASH: i32 = 0x5c;

/** Reads JSON from the front. The first mistake stops it and stands in `error`. */
export class Parser {
  error: string = "";
  private at: i32 = 0;

  constructor(private json: string) {}

  /** Reads the whole text as an object; empty text is an empty object. */
  object(): Map<string, Value> {
    const out = new Map<string, Value>();
    this.space();
    if (this.at == this.json.length) return out;
    if (!this.next(0x7b)) this.fail("not a JSON object");
    let first = true;
    while (this.good && !this.next(0x7d)) {
      if (!first && !this.next(0x2c)) this.fail("no comma or brace after a value");
      first = false;
      this.space();
      const key = this.good ? this.string() : "";
      if (!this.next(0x3a)) this.fail("no colon after a key");
      const value = this.value();
      if (this.good) out.set(key, value);
    }
    this.space();
    if (this.at < this.json.length) this.fail("text after the object");
    return out;
  }

  private get good(): bool {
    return this.error.length == 0;
  }

  private fail(what: string): void {
    if (this.good) this.error = "JSON: " + what;
  }

  /** The next character, -1 at the end. */
  private peek(): i32 {
    return this.at < this.json.length ? this.json.charCodeAt(this.at) : -1;
  }

  private space(): void {
    for (let c = this.peek(); c == 0x20 || c == 0x09 || c == 0x0a || c == 0x0d; c = this.peek()) this.at++;
  }

  /** Eats c, with white space before it, if it is there. */
  private next(c: i32): bool {
    this.space();
    if (this.peek() != c) return false;
    this.at++;
    return true;
  }

  private value(): Value {
    this.space();
    const c = this.peek();
    if (c == QUOTE) return new Value(Kind.Text, this.string());
    const from = this.at;
    if (c == 0x7b || c == 0x5b) this.nested();
    else this.word();
    const text = this.json.slice(from, this.at);
    if (text == "true" || text == "false") return new Value(Kind.Flag, text);
    if (c == 0x2d || (c >= 0x30 && c <= 0x39)) return new Value(Kind.Number, text);
    if (c != 0x7b && c != 0x5b && text != "null") this.fail("not a value");
    return new Value(Kind.Other, text);
  }

  /** Eats up to what ends a number or a name. */
  private word(): void {
    for (let c = this.peek(); c > 0x20 && c != 0x2c && c != 0x7d && c != 0x5d; c = this.peek()) this.at++;
  }

  /** Eats an array or object. Brackets are counted, not matched: the host sends JSON. */
  private nested(): void {
    let depth = 0;
    do {
      const c = this.peek();
      if (c < 0) return this.fail("a value without end");
      if (c == QUOTE) {
        this.string();
        if (!this.good) return;
        continue;
      }
      if (c == 0x7b || c == 0x5b) depth++;
      if (c == 0x7d || c == 0x5d) depth--;
      this.at++;
    } while (depth > 0);
  }

  /** Eats a string. */
  private string(): string {
    if (this.peek() != QUOTE) this.fail("a key is not a string");
    let out = "";
    let from = ++this.at;
    for (let c = this.peek(); this.good; c = this.peek()) {
      if (c == QUOTE || c == BACKSLASH) out += this.json.slice(from, this.at);
      if (c == QUOTE) {
        this.at++;
        return out;
      }
      if (c < 0x20) this.fail("a string without end");
      this.at++;
      if (c != BACKSLASH) continue;
      out += this.escape();
      from = this.at;
    }
    return out;
  }

  /** Eats what follows a backslash. Halves of a pair are units of UTF-16 here as there. */
  private escape(): string {
    const c = this.peek();
    this.at++;
    if (c == 0x75) {
      let unit = 0;
      for (let i = 0; i < 4; i++) {
        const digit = hexDigit(this.peek());
        if (digit < 0) this.fail("an unknown escape in a string");
        unit = (unit << 4) | digit;
        this.at++;
      }
      return String.fromCharCode(unit);
    }
    if (c == QUOTE || c == BACKSLASH || c == 0x2f) return String.fromCharCode(c);
    const plain = "bfnrt".indexOf(String.fromCharCode(c));
    if (c < 0 || plain < 0) {
      this.fail("an unknown escape in a string");
      return "";
    }
    return "\b\f\n\r\t".charAt(plain);
  }
}

function hexDigit(c: i32): i32 {
  if (c >= 0x30 && c <= 0x39) return c - 0x30;
  const letter = c | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** A JSON string. */
export function quote(text: string): string {
  let out = '"';
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c == QUOTE || c == BACKSLASH) out += "\\" + text.charAt(i);
    else if (c < 0x20) out += "\\u00" + (c < 0x10 ? "0" : "1") + "0123456789abcdef".charAt(c & 15);
    else out += text.charAt(i);
  }
  return out + '"';
}
