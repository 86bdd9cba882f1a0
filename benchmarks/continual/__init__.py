"""What methods remember: public tasks learned one after another, each scored after every one.

python -m benchmarks.continual --data DIR --order short_1 --method jumplora+ella --out DIR
python -m benchmarks.continual compare DIR...
"""
