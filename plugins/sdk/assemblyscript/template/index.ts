// A kernel that passes on the lines of a text that contain a word, and drops
// texts without any.

import { Config, Kernel, Output, Record, serve } from "./waybill";
export * from "./waybill/abi";

class Filter extends Kernel {
  constructor(private word: string) {
    super();
  }

  /** Is called once for each record. */
  handle(record: Record, out: Output): void {
    const lines = record.text.split("\n");
    let found = "";
    for (let i = 0; i < lines.length; i++) {
      if (!lines[i].includes(this.word)) continue;
      found += i + 1 < lines.length ? lines[i] + "\n" : lines[i];
    }
    if (found.length > 0) out.putText(found);
  }
}

// `with` of the pipeline file, which has the schema in kernel.json.
serve((config: Config): Kernel => {
  const word = config.text("word");
  if (word.length == 0) config.refuse("word is empty");
  return new Filter(word);
});
