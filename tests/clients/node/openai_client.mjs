// OpenAI's JavaScript client: Chat Completions and Responses.

import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { KEY, URL, checkAll, heard } from "./told.mjs";

const MODELS = ["gpt", "claude", "gemini", "bedrock"];
const client = new OpenAI({ baseURL: `${URL}/v1`, apiKey: KEY, maxRetries: 0 });
const patient = new OpenAI({ baseURL: `${URL}/v1`, apiKey: KEY, maxRetries: 2 });
const user = (content) => [{ role: "user", content }];
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const tools = [{ type: "function", function: { name: "weather", parameters } }];
const flatTools = [{ type: "function", name: "weather", parameters, strict: false }];
const chatted = (model, content) => {
  const stream = client.chat.completions.create({ model, messages: user(content), stream: true });
  return heard(stream, (chunk) => chunk.choices[0]?.delta?.content);
};
const responded = async (model, input) => {
  const told = []; // an error in OpenAI's own words is an event like others, and raises nothing
  const stream = client.responses.create({ model, input, store: false, stream: true });
  const saw = await heard(stream, (event) => {
    if (event.type === "error") told.push(event.message);
    return event.type === "response.output_text.delta" ? event.delta : "";
  });
  return { ...saw, told };
};
const Weather = z.object({ city: z.string(), degrees: z.number() });

await checkAll({
  async chat(model) {
    const answer = await client.chat.completions.create({ model, messages: user("Hi.") });
    const choice = answer.choices[0];
    return { text: choice.message.content, end: choice.finish_reason, total: answer.usage.total_tokens };
  },
  async stream(model) {
    const asked = { model, messages: user("Hi there."), stream: true, stream_options: { include_usage: true } };
    let text = "", end = [], total = 0;
    for await (const chunk of await client.chat.completions.create(asked)) {
      text += chunk.choices[0]?.delta?.content ?? "";
      if (chunk.choices[0]?.finish_reason) end.push(chunk.choices[0].finish_reason);
      total = chunk.usage?.total_tokens ?? total;
    }
    return { text, end, counted: total > 10 };
  },
  async tools(model) {
    const ran = [];
    const runner = client.chat.completions.runTools({
      model,
      messages: user("The weather in Basel and Bern?"),
      stream: true,
      tools: [{ type: "function", function: { name: "weather", parameters, parse: JSON.parse, function: ({ city }) => { ran.push(city); return "12"; } } }],
    });
    return { text: await runner.finalContent(), ran };
  },
  async schema(model) {
    const asked = { model, messages: user("Say it as JSON."), response_format: zodResponseFormat(Weather, "weather") };
    return (await client.chat.completions.parse(asked)).choices[0].message.parsed;
  },
  async overloaded(model) {
    await client.chat.completions.create({ model, messages: user("You are overloaded.") });
  },
  broken: (model) => chatted(model, "It breaks off."),
  failed: (model) => chatted(model, "It gives up."),
  respond_broken: (model) => responded(model, "It breaks off."),
  respond_failed: (model) => responded(model, "It gives up."),
  retry: {
    models: ["gpt", "claude"],
    async look(model) {
      const messages = user(`busy node-openai-${model} now`);
      return { text: (await patient.chat.completions.create({ model, messages })).choices[0].message.content };
    },
  },
  async cancel(model) {
    const stream = await client.chat.completions.create({ model, messages: user(`slowly, node openai to ${model}`), stream: true });
    for await (const chunk of stream) {
      if (chunk.choices[0]?.delta?.content) break;
    }
    return { left: true };
  },
  unknown: { models: ["claud"], look: (model) => client.chat.completions.create({ model, messages: user("Hi.") }) },
  stranger: {
    models: ["gpt"],
    look: (model) => client.withOptions({ apiKey: "sk-wrong" }).chat.completions.create({ model, messages: user("Hi.") }),
  },
  async respond(model) {
    const answer = await client.responses.create({ model, input: "Hi.", store: false });
    return { text: answer.output_text, end: answer.status };
  },
  async respond_stream(model) {
    const stream = client.responses.stream({ model, input: user("The weather in Basel and Bern?"), tools: flatTools, store: false });
    const kinds = [];
    for await (const event of stream) kinds.push(event.type);
    const { output } = await stream.finalResponse();
    const calls = output.filter((each) => each.type === "function_call");
    return { first: kinds[0], last: kinds.at(-1), calls: calls.map((each) => JSON.parse(each.arguments)) };
  },
}, MODELS);
