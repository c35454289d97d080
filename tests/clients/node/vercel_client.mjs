// Vercel's AI SDK: by OpenAI's provider (Responses, and Chat Completions) and by the one for whatever is compatible.

import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Output, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { KEY, URL, checkAll } from "./told.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;
const MODELS = ["gpt", "claude", "gemini", "bedrock"];
const baseURL = `${URL}/v1`;
const openai = createOpenAI({ baseURL, apiKey: KEY });
const compatible = createOpenAICompatible({ name: "headworks", baseURL, apiKey: KEY, includeUsage: true, supportsStructuredOutputs: true });
const Weather = z.object({ city: z.string(), degrees: z.number() });
const ways = { responses: (model) => openai.responses(model), chat: (model) => openai.chat(model), compatible: (model) => compatible(model) };
const providerOptions = { openai: { store: false } };

const weather = () => {
  const ran = [];
  const execute = async ({ city }) => { ran.push(city); return "12"; };
  return { ran, tools: { weather: tool({ description: "Tells it.", inputSchema: z.object({ city: z.string() }), execute }) } };
};

const checks = {};
for (const [way, made] of Object.entries(ways)) {
  checks[`${way} text`] = async (model) => {
    const answer = await generateText({ model: made(model), prompt: "Hi.", maxRetries: 0, providerOptions });
    return { text: answer.text, end: answer.finishReason, total: answer.usage.totalTokens };
  };
  checks[`${way} stream`] = async (model) => {
    const failed = [];
    const answer = streamText({ model: made(model), prompt: "Hi there.", maxRetries: 0, providerOptions, onError: ({ error }) => failed.push(String(error)) });
    let text = "";
    for await (const piece of answer.textStream) text += piece;
    return { text, end: await answer.finishReason, failed };
  };
  checks[`${way} tools`] = async (model) => {
    const { ran, tools } = weather();
    const asked = { model: made(model), prompt: "The weather in Basel and Bern?", tools, stopWhen: stepCountIs(3), maxRetries: 0, providerOptions };
    const answer = streamText(asked);
    return { text: await answer.text, ran: ran.sort() };
  };
  checks[`${way} schema`] = async (model) => {
    const asked = { model: made(model), prompt: "Say it as JSON.", output: Output.object({ schema: Weather }), maxRetries: 0, providerOptions };
    return (await generateText(asked)).output;
  };
}
// Stored, as is its default: what was said before is only named in the second request.
checks["stored tools"] = async (model) => {
  const { ran, tools } = weather();
  const answer = streamText({ model: openai.responses(model), prompt: "The weather in Basel and Bern?", tools, stopWhen: stepCountIs(3), maxRetries: 0 });
  return { text: await answer.text, ran: ran.sort() };
};
checks.overloaded = (model) => generateText({ model: compatible(model), prompt: "You are overloaded.", maxRetries: 0 });
checks.retry = {
  models: ["gpt", "claude"],
  async look(model) {
    return { text: (await generateText({ model: compatible(model), prompt: `busy vercel-${model} now`, maxRetries: 2 })).text };
  },
};
checks.cancel = async (model) => {
  const leaving = new AbortController();
  const answer = streamText({ model: compatible(model), prompt: `slowly, vercel to ${model}`, abortSignal: leaving.signal, onError() {} });
  for await (const part of answer.fullStream) {
    if (part.type === "text-delta") leaving.abort();
  }
  return { left: true };
};
checks.unknown = { models: ["claud"], look: (model) => generateText({ model: compatible(model), prompt: "Hi.", maxRetries: 0 }) };

await checkAll(checks, MODELS);
