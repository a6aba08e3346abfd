// Passkeys: a form with a question is answered by the browser's own dialogue before it is sent.
// Everything else on these pages works without a script.
"use strict";

const bytesOf = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

const textOf = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

const withIds = (list) => (list ?? []).map((entry) => ({ ...entry, id: bytesOf(entry.id) }));

// As WebAuthn, Level 3, 5.1.8 to 5.1.10 have it in JSON; browsers of before 2025 lack these functions.
async function answerTo(question) {
  const publicKey = { ...question, challenge: bytesOf(question.challenge) };
  let credential;
  if (question.user) {
    publicKey.user = { ...question.user, id: bytesOf(question.user.id) };
    publicKey.excludeCredentials = withIds(question.excludeCredentials);
    credential = await navigator.credentials.create({ publicKey });
  } else {
    publicKey.allowCredentials = withIds(question.allowCredentials);
    credential = await navigator.credentials.get({ publicKey });
  }
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature"]) {
    if (credential.response[name]) response[name] = textOf(credential.response[name]);
  }
  return { id: credential.id, rawId: credential.id, type: credential.type, response };
}

for (const form of document.querySelectorAll("form[data-question]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const failed = form.querySelector("[data-failed]");
    failed.hidden = true;
    try {
      form.elements.answer.value = JSON.stringify(await answerTo(JSON.parse(form.dataset.question)));
    } catch {
      failed.hidden = false;
      return;
    }
    form.submit();
  });
}
