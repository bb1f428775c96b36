// Signs an order with the officer's key file. The file is read here, imported as a key that cannot be
// taken out again, used for one press and forgotten; only the signatures are sent.

const ED25519 = "2b6570";
const EC_PUBLIC = "2a8648ce3d0201";
const P256 = "2a8648ce3d030107";
const PBES2 = "2a864886f70d01050d";
const HASHES = { "2a864886f70d0209": "SHA-256", "2a864886f70d020b": "SHA-512" };
const CIPHERS = { "60864801650304012a": 256, "608648016503040102": 128 };
const ALGORITHMS = {
  EDDSA: { key: { name: "Ed25519" }, sign: { name: "Ed25519" } },
  ES256: { key: { name: "ECDSA", namedCurve: "P-256" }, sign: { name: "ECDSA", hash: "SHA-256" } },
};

const hex = (bytes) => [...new Uint8Array(bytes)].map((b) => b.toString(16).padStart(2, "0")).join("");
const bytesOf = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));

function fromPem(text, label) {
  const found = text.match(new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+)-----END ${label}-----`));
  if (!found) return null;
  return Uint8Array.from(atob(found[1].replace(/\s+/g, "")), (c) => c.charCodeAt(0));
}

// One element of DER: its tag, its content, and what stands after it.
function element(bytes) {
  if (bytes.length < 2) throw new Error("cut");
  let length = bytes[1];
  let at = 2;
  if (length & 0x80) {
    const digits = length & 0x7f;
    if (digits < 1 || digits > 3) throw new Error("length");
    length = 0;
    for (let i = 0; i < digits; i += 1) length = length * 256 + bytes[at + i];
    at += digits;
  }
  if (at + length > bytes.length) throw new Error("cut");
  return { tag: bytes[0], content: bytes.subarray(at, at + length), rest: bytes.subarray(at + length) };
}

function children(bytes) {
  const found = [];
  let rest = bytes;
  while (rest.length) {
    const one = element(rest);
    found.push(one);
    rest = one.rest;
  }
  return found;
}

// PKCS #8 under a passphrase: PBES2 with PBKDF2 and AES-CBC (RFC 8018), as OpenSSL and qianshao write it.
async function decrypt(der, passphrase) {
  const [scheme, sealed] = children(element(der).content);
  const [oid, parameters] = children(scheme.content);
  if (hex(oid.content) !== PBES2) throw new Error("scheme");
  const [derivation, encryption] = children(parameters.content);
  const [, kdf] = children(derivation.content);
  const [salt, rounds, ...more] = children(kdf.content);
  const prf = more.filter((one) => one.tag === 0x30).map((one) => hex(children(one.content)[0].content))[0];
  const [cipher, iv] = children(encryption.content);
  const hash = HASHES[prf];
  const length = CIPHERS[hex(cipher.content)];
  if (!hash || !length) throw new Error("cipher");
  const iterations = [...rounds.content].reduce((sum, byte) => sum * 256 + byte, 0);
  if (iterations > 10_000_000) throw new Error("rounds");
  const base = await crypto.subtle.importKey("raw", new TextEncoder().encode(passphrase), "PBKDF2", false, ["deriveKey"]);
  const key = await crypto.subtle.deriveKey(
    { name: "PBKDF2", salt: salt.content, iterations, hash }, base, { name: "AES-CBC", length }, false, ["decrypt"],
  );
  return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-CBC", iv: iv.content }, key, sealed.content));
}

function algorithmOf(der) {
  const [, identifier] = children(element(der).content);
  const names = children(identifier.content).map((one) => hex(one.content));
  if (names[0] === ED25519) return "EDDSA";
  if (names[0] === EC_PUBLIC && names[1] === P256) return "ES256";
  throw new Error("algorithm");
}

async function privateKey(text, passphrase) {
  const sealed = fromPem(text, "ENCRYPTED PRIVATE KEY");
  const der = sealed ? await decrypt(sealed, passphrase) : fromPem(text, "PRIVATE KEY");
  if (!der) throw new Error("no key");
  const algorithm = algorithmOf(der);
  const key = await crypto.subtle.importKey("pkcs8", der, ALGORITHMS[algorithm].key, false, ["sign"]);
  der.fill(0);
  return { algorithm, key };
}

// The job of the key in hand: the one whose public key verifies what it signs.
async function jobOf(jobs, { algorithm, key }) {
  const probe = crypto.getRandomValues(new Uint8Array(32));
  const { key: kind, sign } = ALGORITHMS[algorithm];
  const made = await crypto.subtle.sign(sign, key, probe);
  for (const job of jobs.filter((one) => one.algorithm === algorithm)) {
    const spki = fromPem(job.public_pem, "PUBLIC KEY");
    const known = await crypto.subtle.importKey("spki", spki, kind, false, ["verify"]);
    if (await crypto.subtle.verify(sign, known, made, probe)) return job;
  }
  throw new Error("not among the officers' keys");
}

async function signAll(job, { algorithm, key }) {
  const signatures = [];
  for (const order of job.orders) {
    const value = await crypto.subtle.sign(ALGORITHMS[algorithm].sign, key, bytesOf(order.bytes));
    signatures.push({ order_id: order.order_id, protected: job.protected, value: hex(value) });
  }
  return JSON.stringify({ schema: "qianshao-signatures/1", signatures });
}

function start(form) {
  const file = form.querySelector("[data-key-file]");
  const passphrase = form.querySelector("[data-passphrase]");
  const problem = form.querySelector("[data-sign-problem]");
  const button = form.querySelector("[data-sign]");
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    if (form.dataset.signed) return;
    event.preventDefault();
    problem.hidden = true;
    button.disabled = true;
    try {
      const own = await privateKey(await file.files[0].text(), passphrase.value);
      const job = await jobOf(JSON.parse(form.querySelector("[data-jobs]").value), own);
      form.querySelector("[name=signatures]").value = await signAll(job, own);
      passphrase.value = "";
      form.dataset.signed = "yes";
      form.submit();
    } catch {
      problem.textContent = problem.dataset.signProblem;
      problem.hidden = false;
      button.disabled = false;
    }
  });
}

const form = document.querySelector("[data-sign-here]");
if (form && globalThis.crypto?.subtle) start(form);
else document.querySelector("[data-by-file]")?.setAttribute("open", "");
