// Runs in the browser: what is wrong with how the page is laid out, as a list of sentences.
(() => {
  const problems = [];
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth)
    problems.push(`the page is ${root.scrollWidth} px wide in a window of ${innerWidth} px`);

  const name = (element) => `<${element.localName}> "${element.textContent.trim().replace(/\s+/g, " ").slice(0, 40)}"`;
  const within = (inner, outer) =>
    inner.left >= outer.left - 1 &&
    inner.right <= outer.right + 1 &&
    inner.top >= outer.top - 1 &&
    inner.bottom <= outer.bottom + 1;

  for (const svg of document.querySelectorAll("figure svg")) {
    const frame = svg.getBoundingClientRect();
    if (frame.width < 250) problems.push(`a drawing is only ${Math.round(frame.width)} px wide`);
    for (const text of svg.querySelectorAll("text")) {
      const box = text.getBoundingClientRect();
      if (!within(box, frame)) problems.push(`${name(text)} leaves its drawing`);
      if (box.height < 9) problems.push(`${name(text)} is only ${box.height.toFixed(1)} px high`);
    }
    for (const group of svg.querySelectorAll("g.box, g:has(> .on)")) {
      const border = group.querySelector("rect").getBoundingClientRect();
      for (const text of group.querySelectorAll("text"))
        if (!within(text.getBoundingClientRect(), border)) problems.push(`${name(text)} leaves its box`);
    }
  }

  // Contrast by WCAG 2.2, 1.4.3: 4.5:1 for text. Colours are read as the browser computes them.
  const channels = (colour) => (colour.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = channels(colour).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const isOpaque = (colour) => colour !== "transparent" && (channels(colour)[3] ?? 1) === 1;
  const behind = (element) => {
    const rect = element.matches("text.on") && element.parentElement.querySelector("rect");
    if (rect) return getComputedStyle(rect).fill;
    for (let at = element; at; at = at.parentElement) {
      const { backgroundColor } = getComputedStyle(at);
      if (isOpaque(backgroundColor)) return backgroundColor;
    }
    return "rgb(255, 255, 255)";
  };
  let judged = 0;
  for (const element of document.body.querySelectorAll("*")) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== "");
    if (!hasText || element.matches("title, desc, style")) continue;
    const computed = getComputedStyle(element);
    const ink = element.matches("text") ? computed.fill : computed.color;
    const [light, dark] = [luminance(ink), luminance(behind(element))].sort((a, b) => b - a);
    const contrast = (light + 0.05) / (dark + 0.05);
    judged += 1;
    if (contrast < 4.5) problems.push(`${name(element)} has a contrast of ${contrast.toFixed(2)}`);
  }
  if (judged < 50) problems.push(`only ${judged} elements with text were found`);
  return problems;
})();
