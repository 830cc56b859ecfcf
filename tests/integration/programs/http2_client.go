// Asks http2://URL so many times, so many at once, with bodies of some sizes: says what failed.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
)

func main() {
	pem, err := os.ReadFile(os.Args[2])
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2: true,
	}
	client := &http.Client{Transport: transport}
	sizes := []int{0, 5, 70000, 5, 300000}
	var all sync.WaitGroup
	jobs := make(chan int)
	for worker := 0; worker < 20; worker++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for job := range jobs {
				ask(client, sizes[job%len(sizes)])
			}
		}()
	}
	for job := 0; job < 400; job++ {
		jobs <- job
	}
	close(jobs)
	all.Wait()
	fmt.Println("done")
}

func ask(client *http.Client, size int) {
	body := bytes.Repeat([]byte("x"), size)
	var answer *http.Response
	var err error
	if size == 0 {
		answer, err = client.Get(os.Args[1])
	} else {
		answer, err = client.Post(os.Args[1], "text/plain", bytes.NewReader(body))
	}
	if err != nil {
		fmt.Println(size, err)
		return
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if size == 0 {
		body = []byte("OK")
	}
	if err != nil || answer.ProtoMajor != 2 || answer.StatusCode != 200 || !bytes.Equal(got, body) {
		fmt.Println(size, answer.Proto, answer.StatusCode, len(got), err)
	}
}
