"""Runs in an environment of the SageMaker SDK's own: its predictors against a local endpoint.

`python predict.py URL S3_URL` prints a JSON object of what came back.
"""

import json
import sys

import boto3
import numpy as np
from sagemaker import Session
from sagemaker.async_inference import WaiterConfig
from sagemaker.deserializers import JSONDeserializer, JSONLinesDeserializer, NumpyDeserializer
from sagemaker.predictor import Predictor
from sagemaker.predictor_async import AsyncPredictor
from sagemaker.serializers import CSVSerializer, JSONSerializer

TEXTS = ["a dark login screen", "pricing cards"]


def main(url, s3_url):
    boto = boto3.Session(region_name="us-east-1")
    session = Session(
        boto_session=boto,
        sagemaker_client=boto.client("sagemaker"),
        sagemaker_runtime_client=boto.client("sagemaker-runtime", endpoint_url=url),
    )
    session.s3_client = boto.client("s3", endpoint_url=s3_url)
    predictor = Predictor("designs", session, JSONSerializer(), JSONDeserializer())
    whole = predictor.predict({"texts": TEXTS})
    rows = Predictor(
        "designs", session, JSONSerializer(), NumpyDeserializer(accept="application/x-npy")
    ).predict({"texts": TEXTS})
    lines = Predictor(
        "designs", session, CSVSerializer(), JSONLinesDeserializer(accept="application/jsonlines")
    ).predict("http://10.0.0.1/a.png,7")
    session.s3_client.put_object(
        Bucket="jobs", Key="in.json", Body=json.dumps({"texts": TEXTS}).encode()
    )
    later = AsyncPredictor(predictor).predict(
        input_path="s3://jobs/in.json", waiter_config=WaiterConfig(max_attempts=5, delay=1)
    )
    print(json.dumps({
        "whole": whole["results"],
        "npy": np.asarray(rows).tolist(),
        "lines": lines,
        "later": later["results"],
        "refused": refused(predictor),
    }))  # fmt: skip


def refused(predictor):
    try:
        predictor.predict({"nothing": 1})
    except predictor.sagemaker_session.sagemaker_runtime_client.exceptions.ModelError as exc:
        return exc.response["OriginalStatusCode"]
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
