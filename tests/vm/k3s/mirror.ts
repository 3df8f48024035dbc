// Serves a folder by HTTP, as a mirror of releases does, where the machines reach it.
//   mirror.ts FOLDER PORT
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";

const [folder = "", port = ""] = process.argv.slice(2);

createServer((request, response) => {
  const file = path.join(folder, decodeURIComponent(request.url ?? ""));
  if (!file.startsWith(folder) || !existsSync(file) || !statSync(file).isFile()) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { "Content-Length": statSync(file).size });
  createReadStream(file).pipe(response);
}).listen(Number(port), "0.0.0.0", () => process.stdout.write("listens\n"));
