import { DOMParser } from "linkedom";

/** What tests search in. The library's own types name the browser's DOM, which Node's don't have. */
export interface Searched {
  querySelector(selector: string): ReadElement | null;
  querySelectorAll(selector: string): Iterable<ReadElement>;
}

export interface ReadElement extends Searched {
  readonly tagName: string;
  readonly textContent: string | null;
  getAttribute(name: string): string | null;
}

export interface ReadPage extends Searched {
  getElementById(id: string): ReadElement | null;
}

export function parsePage(page: string): ReadPage {
  return new DOMParser().parseFromString(page, "text/html");
}

export function all(of: Searched, selector: string): ReadElement[] {
  return [...of.querySelectorAll(selector)];
}

/** An element's text with its blanks folded. */
export function textOf(element: ReadElement | null | undefined): string {
  return (element?.textContent ?? "").replaceAll(/\s+/g, " ").trim();
}

export function texts(page: string, selector: string): string[] {
  return all(parsePage(page), selector).map(textOf);
}
