// What somebody would write in Go without paceline: prints nanoseconds of each round, a line each.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

var servers []string

func compute(value uint64, rounds int) uint64 {
	for ; rounds > 0; rounds-- {
		value += 0x9E3779B97F4A7C15
		value = (value ^ value>>30) * 0xBF58476D1CE4E5B9
		value = (value ^ value>>27) * 0x94D049BB133111EB
		value ^= value >> 31
	}
	return value
}

func sleep(index uint64) (uint64, error) {
	time.Sleep(10 * time.Millisecond)
	return index, nil
}

func exchange(index uint64) (uint64, error) {
	value := compute(index, 1)
	connection, err := net.Dial("tcp", servers[value%uint64(len(servers))])
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	message, reply := bytes.Repeat([]byte{0xA5}, 100), make([]byte, 100)
	for time := 0; time < 20; time++ {
		binary.LittleEndian.PutUint64(message, value)
		if _, err := connection.Write(message); err != nil {
			return 0, err
		}
		if _, err := io.ReadFull(connection, reply); err != nil {
			return 0, err
		}
		if !bytes.Equal(reply, message) {
			return 0, fmt.Errorf("other bytes came back")
		}
		value = compute(binary.LittleEndian.Uint64(reply), 1)
	}
	return value, nil
}

func computing(index uint64) (uint64, error) {
	return compute(index, 20_000), nil
}

func number(text string) int {
	number, err := strconv.Atoi(text)
	if err != nil {
		log.Fatal(err)
	}
	return number
}

func main() {
	jobs, rounds := number(os.Args[2]), number(os.Args[3])
	servers = strings.Split(os.Args[4], ",")
	all := map[string]func(uint64) (uint64, error){"sleep": sleep, "exchange": exchange, "compute": computing}
	job := all[os.Args[1]]
	for ; rounds > 0; rounds-- {
		outputs, failures := make([]uint64, jobs), make([]error, jobs)
		var done sync.WaitGroup
		start := time.Now()
		done.Add(jobs)
		for index := 0; index < jobs; index++ {
			go func(index int) {
				outputs[index], failures[index] = job(uint64(index))
				done.Done()
			}(index)
		}
		done.Wait()
		elapsed := time.Since(start)
		for _, err := range failures {
			if err != nil {
				log.Fatal(err)
			}
		}
		fmt.Println(elapsed.Nanoseconds())
	}
}
