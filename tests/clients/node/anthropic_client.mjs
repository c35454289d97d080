// Anthropic's JavaScript client.

import Anthropic from "@anthropic-ai/sdk";
import { KEY, URL, checkAll, heard } from "./told.mjs";

const MODELS = ["claude", "gpt", "gemini", "bedrock"];
const client = new Anthropic({ baseURL: URL, apiKey: KEY, maxRetries: 0 });
const patient = new Anthropic({ baseURL: URL, apiKey: KEY, maxRetries: 2 });
const asked = (model, content) => ({ model, max_tokens: 1000, messages: [{ role: "user", content }] });
const streamed = (model, content) => heard(client.messages.stream(asked(model, content)), (event) => event.delta?.text);
const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const tools = [{ name: "weather", input_schema: schema }];

await checkAll({
  async chat(model) {
    const answer = await client.messages.create({ ...asked(model, "Hi."), system: "Be brief." });
    return { text: answer.content[0].text, end: answer.stop_reason, output: answer.usage.output_tokens };
  },
  async stream(model) {
    const stream = client.messages.stream(asked(model, "Hi there."));
    const kinds = [];
    for await (const event of stream) kinds.push(event.type);
    const final = await stream.finalMessage();
    return { text: final.content[0].text, end: final.stop_reason, first: kinds[0], last: kinds.at(-1) };
  },
  async tools(model) {
    const given = { ...asked(model, "The weather in Basel and Bern?"), tools };
    const first = await client.messages.stream(given).finalMessage();
    const calls = first.content.filter((each) => each.type === "tool_use");
    const results = calls.map((each) => ({ type: "tool_result", tool_use_id: each.id, content: "12" }));
    const messages = [...given.messages, { role: "assistant", content: first.content }, { role: "user", content: results }];
    const last = await client.messages.create({ ...given, messages });
    return { calls: calls.map((each) => each.input), end: first.stop_reason, text: last.content[0].text };
  },
  async schema(model) {
    const output_config = { format: { type: "json_schema", schema } };
    const answer = await client.messages.create({ ...asked(model, "Say it as JSON."), output_config });
    return JSON.parse(answer.content[0].text);
  },
  async overloaded(model) {
    await client.messages.create(asked(model, "You are overloaded."));
  },
  broken: (model) => streamed(model, "It breaks off."),
  failed: (model) => streamed(model, "It gives up."),
  retry: {
    models: ["claude", "gpt"],
    async look(model) {
      return { text: (await patient.messages.create(asked(model, `busy node-anthropic-${model} now`))).content[0].text };
    },
  },
  async cancel(model) {
    const stream = client.messages.stream(asked(model, `slowly, node anthropic to ${model}`));
    for await (const event of stream) {
      if (event.type === "content_block_delta") break;
    }
    return { left: true };
  },
  unknown: { models: ["claud"], look: (model) => client.messages.create(asked(model, "Hi.")) },
  stranger: {
    models: ["claude"],
    look: (model) => new Anthropic({ baseURL: URL, apiKey: "sk-wrong", maxRetries: 0 }).messages.create(asked(model, "Hi.")),
  },
}, MODELS);
