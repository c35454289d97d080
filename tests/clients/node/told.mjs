// What every script here shares: checks that run once each, and a line of JSON for what each of them saw.

export const URL = process.env.HEADWORKS_TEST_URL;
export const KEY = process.env.HEADWORKS_TEST_KEY;

/** An error by its class, status and words. */
export function named(error) {
  const { status, statusCode, code, param, type } = error;
  return { raised: error.constructor.name, status: status ?? statusCode, code, param, type, message: error.message };
}

/** The text of a stream up to where it ends, and the error that it ends with, if any. */
export async function heard(stream, textOf) {
  let text = "";
  try {
    for await (const each of await stream) text += textOf(each) ?? "";
  } catch (error) {
    return { text, ...named(error) };
  }
  return { text };
}

/** Run `look` and print what it gives, or the error that it throws by its class, status and words. */
export async function check(name, model, look) {
  let saw;
  try {
    saw = await look(model);
  } catch (error) {
    saw = named(error);
  }
  process.stdout.write(JSON.stringify({ check: name, model, saw }) + "\n");
}

/** All checks for all models; the models of one check at once. */
export async function checkAll(checks, models) {
  for (const [name, look] of Object.entries(checks)) {
    const wanted = look.models ?? models;
    await Promise.all(wanted.map((model) => check(name, model, look.look ?? look)));
  }
}
