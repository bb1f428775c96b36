// Makes passkeys and signs orders with them. The key stays in the authenticator, which asks its user at
// each press; what it says is sent on, and the central and every machine check it.

const ES256 = -7;
const EDDSA = -8;

const hex = (bytes) => [...new Uint8Array(bytes)].map((b) => b.toString(16).padStart(2, "0")).join("");
const bytesOf = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const named = (ids) => ids.map((id) => ({ type: "public-key", id: bytesOf(id) }));

async function make(form, options) {
  const made = await navigator.credentials.create({
    publicKey: {
      challenge: bytesOf(options.challenge),
      rp: { id: options.rp_id, name: "Qianshao" },
      user: { id: bytesOf(options.user.id), name: options.user.name, displayName: options.user.name },
      pubKeyCredParams: [EDDSA, ES256].map((alg) => ({ type: "public-key", alg })),
      excludeCredentials: named(options.known),
      authenticatorSelection: { residentKey: "discouraged", userVerification: "required" },
      attestation: "none",
    },
  });
  form.elements.attestation.value = hex(made.response.attestationObject);
  form.elements.client_data.value = hex(made.response.clientDataJSON);
}

async function sign(form, job) {
  const { response } = await navigator.credentials.get({
    publicKey: {
      challenge: bytesOf(job.challenge),
      rpId: job.rp_id,
      allowCredentials: named([job.credential_id]),
      userVerification: "required",
    },
  });
  form.elements.signatures.value = JSON.stringify({
    schema: "qianshao-assertion/1",
    protected: job.protected,
    authenticator_data: hex(response.authenticatorData),
    client_data: hex(response.clientDataJSON),
    signature: hex(response.signature),
    orders: job.orders,
  });
}

function start(form, act) {
  const options = JSON.parse(form.querySelector("[data-options]").value);
  if (!globalThis.PublicKeyCredential || !options.origins.includes(location.origin)) return;
  const problem = form.querySelector("[data-passkey-problem]");
  const button = form.querySelector("button");
  form.hidden = false;
  for (const note of document.querySelectorAll("[data-no-passkeys]")) note.hidden = true;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.hidden = true;
    button.disabled = true;
    try {
      await act(form, options);
      form.submit();
    } catch {
      problem.textContent = problem.dataset.passkeyProblem;
      problem.hidden = false;
      button.disabled = false;
    }
  });
}

for (const form of document.querySelectorAll("[data-passkey-new]")) start(form, make);
for (const form of document.querySelectorAll("[data-passkey-sign]")) start(form, sign);
