// client URL [h2c]: prints the answer; any status but 200 is a failure. With h2c: HTTP/2 in clear text, with prior knowledge.
package main

import (
	"io"
	"net/http"
	"os"
)

func main() {
	var protocols http.Protocols
	protocols.SetHTTP1(len(os.Args) < 3)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(len(os.Args) > 2)
	client := http.Client{Transport: &http.Transport{Protocols: &protocols}}
	answer, err := client.Get(os.Args[1])
	if err != nil {
		println(err.Error())
		os.Exit(1)
	}
	io.Copy(os.Stdout, answer.Body)
	if answer.StatusCode != 200 {
		os.Exit(1)
	}
}
