import { Kind, Parser, Value, quote } from "./json";

/**
 * The stage's `with`. The factory asks for the keys that it knows; what it does not
 * ask for, and what has another type, keeps the pipeline from starting.
 */
export class Config {
  /** What is wrong with the JSON itself. For the SDK. */
  error: string;
  private values: Map<string, Value>;
  private asked: Set<string> = new Set<string>();
  private refusal: string = "";

  constructor(json: string) {
    const parser = new Parser(json);
    this.values = parser.object();
    this.error = parser.error;
  }

  /** A text, or `otherwise` if there is no such key. */
  text(key: string, otherwise: string = ""): string {
    const value = this.find(key, Kind.Text, "a text");
    return value ? value.text : otherwise;
  }

  /** A number. */
  number(key: string, otherwise: f64 = 0): f64 {
    const value = this.find(key, Kind.Number, "a number");
    return value ? parseFloat(value.text) : otherwise;
  }

  /** true or false. */
  flag(key: string, otherwise: bool = false): bool {
    const value = this.find(key, Kind.Flag, "true or false");
    return value ? value.text == "true" : otherwise;
  }

  /** An array or object, as JSON; empty if there is no such key. */
  json(key: string): string {
    const value = this.find(key, Kind.Other, "an array or object");
    return value ? value.text : "";
  }

  has(key: string): bool {
    return this.values.has(key);
  }

  /** Refuses the configuration. */
  refuse(why: string): void {
    if (this.refusal.length == 0) this.refusal = why;
  }

  /** What keeps the kernel from starting; empty if nothing does. For the SDK. */
  problem(): string {
    if (this.error.length > 0) return this.error;
    if (this.refusal.length > 0) return this.refusal;
    const keys = this.values.keys();
    for (let i = 0; i < keys.length; i++) {
      if (!this.asked.has(keys[i])) return "unknown key " + quote(keys[i]);
    }
    return "";
  }

  private find(key: string, kind: Kind, name: string): Value | null {
    this.asked.add(key);
    if (!this.values.has(key)) return null;
    const value = this.values.get(key);
    if (value.kind == kind) return value;
    this.refuse(key + " is not " + name);
    return null;
  }
}
