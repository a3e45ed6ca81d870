// Reads structured fields (RFC 9651) as a program that knows nothing of weir
// would. In: one JSON string a line, a header's value. Out: for each one line of
// JSON, either the members of the list, each [item, {parameter: item}], or
// {"error": "..."}. An item that is neither a string nor a number is told apart
// by its kind: {"Token": "..."}.

import readline from "node:readline";
import { parseList } from "structured-headers";

function plain(item) {
  if (typeof item === "string" || typeof item === "number") return item;
  return { [item?.constructor?.name]: String(item) };
}

function members(value) {
  return parseList(value).map(([item, parameters]) => [
    plain(item),
    Object.fromEntries([...parameters].map(([name, of]) => [name, plain(of)])),
  ]);
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  try {
    console.log(JSON.stringify(members(JSON.parse(line))));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
}
