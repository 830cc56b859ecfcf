#!/usr/bin/env bash
# firecracker-go-sdk: of a guest that speaks first, some of its first bytes are lost.
#
# Who dials a guest through Firecracker's unix socket writes "CONNECT 22", and reads a line with OK
# and a port, behind which come the guest's bytes (Firecracker's docs/vsock.md). vsock.Dial() reads
# that line through a buffer of 32 bytes, and forgets the buffer: what the guest had sent by then,
# as servers of SSH and SMTP do, is gone as far as it is in there, and no error is raised. Whether
# anything had come is a matter of time: where the guest is slower than the reader nothing is lost.
# Seen with firecracker-go-sdk 1.0.0, its peer a few lines in the place of Firecracker.
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
export GOMODCACHE=$folder/modules GOFLAGS=-mod=mod GOTOOLCHAIN=local
cat >main.go <<'END'
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"

	"github.com/firecracker-microvm/firecracker-go-sdk/vsock"
)

const greeting = "220 guest.example ready\r\n"

// answer stands for Firecracker, and for a guest whose server greets, and ends.
func answer(listening net.Listener, atOnce bool, dialled <-chan bool) {
	connection, err := listening.Accept()
	if err != nil {
		panic(err)
	}
	defer connection.Close()
	if _, err := bufio.NewReader(connection).ReadString('\n'); err != nil {
		panic(err)
	}
	line := "OK 1073741824\n"
	if atOnce {
		connection.Write([]byte(line + greeting))
		<-dialled
	} else {
		connection.Write([]byte(line))
		<-dialled
		connection.Write([]byte(greeting))
	}
}

func read(path string, atOnce bool) string {
	listening, err := net.Listen("unix", path)
	if err != nil {
		panic(err)
	}
	defer listening.Close()
	dialled := make(chan bool)
	go answer(listening, atOnce, dialled)
	connection, err := vsock.Dial(path, 22)
	if err != nil {
		panic(err)
	}
	close(dialled)
	got, err := io.ReadAll(connection)
	if err != nil {
		panic(err)
	}
	return string(got)
}

func main() {
	fmt.Printf("behind the line, later: %q\n", read("later.sock", false))
	fmt.Printf("behind the line, at once: %q\n", read("once.sock", true))
}
END
{
  go mod init finding
  go get github.com/firecracker-microvm/firecracker-go-sdk/vsock@v1.0.0
  go build -o dial .
} >said 2>&1 || { cat said; exit 1; }
seen=$(timeout 30 ./dial)
printf '%s\n' "$seen"
[ "$seen" = 'behind the line, later: "220 guest.example ready\r\n"
behind the line, at once: "ready\r\n"' ] || { echo 'it has changed'; exit 1; }
