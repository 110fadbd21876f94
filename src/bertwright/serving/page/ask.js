// Questions to the server. A key, where one is needed, lives as long as the tab.

// What a browser keeps, where it is allowed to keep anything.
export function keep(use) {
  try {
    return use();
  } catch {
    return undefined;
  }
}

let key = keep(() => sessionStorage.getItem("key")) ?? "";

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export function useKey(given) {
  key = given;
  keep(() => sessionStorage.setItem("key", given));
}

export async function ask(route, body, signal) {
  const headers = { "content-type": "application/json" };
  if (key) headers.authorization = `Bearer ${key}`;
  const wish = body ? { method: "POST", headers, body: JSON.stringify(body), signal } : { headers, signal };
  // What fetch throws for such a key looks like a server that is not there.
  if (/[^\x20-\x7e]/.test(key)) throw new Refused(401, "The key holds a letter that no key can have.");
  const answer = await fetch(route, wish).catch((error) => {
    throw error.name === "AbortError" ? error : new Refused(0, "The server does not answer.");
  });
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, found.error ?? `the server answered ${answer.status}`);
  return found;
}
