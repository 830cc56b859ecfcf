// A client that is not ours: the WebSocket of Node, which is undici's. For test_web_sockets.
const [, , address] = process.argv;
const messages = ["grüß", "", "x".repeat(200_000), new Uint8Array([0, 255, 1])];
const socket = new WebSocket(address);
socket.binaryType = "arraybuffer";
let next = 0;

function send() {
  socket.send(messages[next]);
}

socket.onopen = send;
socket.onmessage = ({ data }) => {
  const sent = messages[next];
  const same = typeof sent === "string"
    ? data === sent
    : Buffer.from(data).equals(Buffer.from(sent));
  if (!same) {
    console.log(`message ${next} came back as another`);
    process.exit(1);
  }
  next += 1;
  if (next < messages.length) send();
  else socket.close(4001, "bye");
};
socket.onclose = ({ code, wasClean }) => {
  console.log(`${next} messages, closed ${wasClean ? "" : "not "}cleanly with ${code}`);
};
socket.onerror = ({ message }) => console.log(`error: ${message}`);
