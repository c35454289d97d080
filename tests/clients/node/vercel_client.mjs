// Vercel's AI SDK: by OpenAI's provider (Responses, and Chat Completions) and by the one for whatever is compatible.

import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Output, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { KEY, URL, checkAll, named } from "./told.mjs";

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

// It raises nothing: errors are parts of its stream.
const streamed = async (made, prompt) => {
  const answer = streamText({ model: made, prompt, maxRetries: 0, providerOptions, onError() {} });
  const saw = { text: "", errors: [] };
  for await (const part of answer.fullStream) {
    if (part.type === "text-delta") saw.text += part.text;
    if (part.type === "error") saw.errors.push(named(part.error));
    if (part.type === "finish") saw.end = part.finishReason;
  }
  return saw;
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
  checks[`${way} overloaded`] = (model) => generateText({ model: made(model), prompt: "You are overloaded.", maxRetries: 0, providerOptions });
  checks[`${way} broken`] = (model) => streamed(made(model), "It breaks off.");
  checks[`${way} failed`] = (model) => streamed(made(model), "It gives up.");
  checks[`${way} retry`] = {
    models: ["gpt", "claude"],
    async look(model) {
      const prompt = `busy vercel-${way}-${model} now`;
      return { text: (await generateText({ model: made(model), prompt, maxRetries: 2, providerOptions })).text };
    },
  };
  checks[`${way} cancel`] = async (model) => {
    const leaving = new AbortController();
    const prompt = `slowly, vercel ${way} to ${model}`;
    const answer = streamText({ model: made(model), prompt, abortSignal: leaving.signal, providerOptions, onError() {} });
    for await (const part of answer.fullStream) {
      if (part.type === "text-delta") leaving.abort();
    }
    return { left: true };
  };
}
// Stored, as is its default: what was said before is only named in the second request.
checks["stored tools"] = async (model) => {
  const { ran, tools } = weather();
  const answer = streamText({ model: openai.responses(model), prompt: "The weather in Basel and Bern?", tools, stopWhen: stepCountIs(3), maxRetries: 0 });
  return { text: await answer.text, ran: ran.sort() };
};
checks.unknown = { models: ["claud"], look: (model) => generateText({ model: compatible(model), prompt: "Hi.", maxRetries: 0 }) };

await checkAll(checks, MODELS);
