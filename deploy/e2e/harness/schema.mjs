// JSON Schema from outside: a strict validator that shares nothing with the server, and what a schema forbids.
import { Ajv } from 'ajv';
import formats from 'ajv-formats';

/** Compiles a published schema; keywords and formats that are unknown or senseless are an error. */
export function compile(schema) {
  const ajv = new Ajv({ strict: true, allErrors: true });
  formats.default(ajv);
  return ajv.compile(schema);
}

/** A schema of results that allows no other properties than those published. */
export const closed = (schema) => ({ ...schema, additionalProperties: false });

/** n Unicode characters, mark first: outside the basic plane, joined, combining, half width, from right to left. */
export const long = (n, mark = '') => [...(mark + '𠮷👩‍👩‍👧e\u0301ｶﾞعر'.repeat(Math.ceil(n / 12)))].slice(0, n).join('');

/** Some value that a schema allows. */
function sample(schema) {
  switch (schema.type) {
    case 'object':
      return Object.fromEntries((schema.required ?? []).map((name) => [name, sample(schema.properties[name])]));
    case 'array':
      return [sample(schema.items)];
    case 'string':
      return schema.enum?.[0] ?? (schema.format === 'date-time' ? '2026-01-31T09:00:00Z' : 'x');
    case 'boolean':
      return true;
    default:
      return schema.minimum ?? 0;
  }
}

/**
 * Values that a schema forbids, each made from the allowed value given by one mistake, with the name that whoever made it
 * must be told.
 */
export function* mistakes(schema, value = sample(schema), name = undefined) {
  for (const other of [null, 'x', 1.5, true, [], {}]) {
    const type = other === null ? 'null' : Array.isArray(other) ? 'array' : typeof other;
    if (type !== schema.type && name) yield { name, value: other };
  }
  switch (schema.type) {
    case 'object':
      yield { name: 'unheard_of', value: { ...value, unheard_of: 1 } };
      for (const required of schema.required ?? []) {
        const { [required]: _, ...rest } = value;
        yield { name: required, value: rest };
      }
      for (const [property, inner] of Object.entries(schema.properties)) {
        for (const wrong of mistakes(inner, value[property], property)) {
          yield { name: wrong.name, value: { ...value, [property]: wrong.value } };
        }
      }
      break;
    case 'array':
      if (schema.minItems) yield { name, value: [] };
      if (schema.maxItems) yield { name, value: Array(schema.maxItems + 1).fill(value[0] ?? sample(schema.items)) };
      for (const wrong of mistakes(schema.items, value[0], name)) yield { name: wrong.name, value: [wrong.value] };
      break;
    case 'string':
      if (schema.minLength) yield { name, value: '' };
      if (schema.maxLength) yield { name, value: long(schema.maxLength + 1) };
      if (schema.enum) yield* ['', 'unheard_of', schema.enum[0].toUpperCase()].map((value) => ({ name, value }));
      if (schema.format === 'date-time') {
        yield* [
          '', 'yesterday', '2026-01-31', '2026-01-31T09:00:00', '2026-02-30T09:00:00Z', '2026-01-31T25:00:00Z', '2026-01-31T9:00:00Z',
          '2026-01-31T09:00:00,5Z', '2026-01-31T09:00:00+24:00', '2026-01-31T09:00:00+09:60', '02026-01-31T09:00:00Z',
        ].map((value) => ({ name, value }));
      }
      break;
    case 'integer':
    case 'number':
      if (schema.type === 'integer') yield { name, value: 0.5 };
      if (schema.minimum !== undefined) yield { name, value: schema.minimum - 1 };
      if (schema.maximum !== undefined) yield { name, value: schema.maximum + 1 };
  }
}
